import type { FhirRequest, FhirResponse, FhirRouteHandler, HttpMethod } from '@medplum/fhir-router';
import { core, fhirRouter } from './medplum-peers';
import { parseQuery, type SearchQuery } from './search-query';

type Found = ReturnType<InstanceType<typeof fhirRouter.FhirRouter>['find']>;

/** Medplum's router with the searches of the recorded server. Batches find their routes here, too. */
export class EmulatorRouter extends fhirRouter.FhirRouter {
  override find(method: HttpMethod, url: string): Found {
    const found = super.find(method, url);
    switch (found?.data?.interaction) {
      case 'search-type':
        return { ...found, handler: method === 'GET' ? search : searchByPost };
      case 'search-system':
        return { ...found, handler: searchTypes };
      default:
        return found;
    }
  }
}

const search: FhirRouteHandler = async ({ params, query }, repository): Promise<FhirResponse> => [
  core.allOk,
  await repository.search(parseQuery(params.resourceType ?? '', query)),
];

const searchByPost: FhirRouteHandler = async (request: FhirRequest, repository): Promise<FhirResponse> => [
  core.allOk,
  await repository.search(parseQuery(request.params.resourceType ?? '', request.body as SearchQuery)),
];

const searchTypes: FhirRouteHandler = async ({ query }, repository): Promise<FhirResponse> => {
  const request = parseQuery('MultipleTypes', query);
  return request.types?.length
    ? [core.allOk, await repository.search(request)]
    : [core.badRequest('No types specified')];
};
