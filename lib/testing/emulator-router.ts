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

const searchByPost: FhirRouteHandler = async (request: FhirRequest, repository): Promise<FhirResponse> => {
  const { params, headers, body } = request;
  const query = body as SearchQuery;
  const isForm = headers?.['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false;
  if (isForm && Object.entries(query).some(([key, value]) => Array.isArray(value) && !key.startsWith('_s'))) {
    // The recorded server understands a repeated parameter in a query and in JSON, but not in a form.
    return [core.badRequest('Search filter value must be a string')];
  }
  return [core.allOk, await repository.search(parseQuery(params.resourceType ?? '', query))];
};

const searchTypes: FhirRouteHandler = async ({ query }, repository): Promise<FhirResponse> => {
  const request = parseQuery('MultipleTypes', query);
  return request.types?.length
    ? [core.allOk, await repository.search(request)]
    : [core.badRequest('No types specified')];
};
