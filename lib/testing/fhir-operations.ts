import type { FhirRequest, FhirResponse, FhirRouter } from '@medplum/fhir-router';
import type { Parameters, ResourceType } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { fail } from './outcome-error';
import { core } from './medplum-peers';
import { EmulatorRepository } from './repository';

/** Adds the emulator's operations to a router, so that batches can use them too. */
export function addOperations(router: FhirRouter): void {
  router.add('GET', 'Patient/:id/$everything', everything);
  router.add('POST', 'Patient/:id/$everything', everything);
  router.add('POST', ':resourceType/$validate', validate);
}

/**
 * Throws the error for an operation that does not exist. The server searches for an OperationDefinition first, so a caller
 * who may not search those gets 403.
 */
export function unknownOperation(mayFindOperations: boolean): never {
  return fail(mayFindOperations ? core.notFound : core.forbidden);
}

async function everything({ params, query, method, body }: FhirRequest, repository: unknown): Promise<FhirResponse> {
  const source = emulated(repository);
  const id = params.id ?? '';
  await source.readResource('Patient', id);
  const asked = method === 'POST' ? typesOfParameters(body as Parameters) : query['_type'];
  if (typeof asked === 'string' && source.serverVersion === '5.0') {
    // The recorded server has a bug here: it fails on a `_type` that occurs only once in the query.
    fail(core.badRequest('types.push is not a function'));
  }
  const types = asked === undefined ? undefined : [asked].flat().flatMap((list) => list.split(','));
  const number = (name: string): number | undefined => {
    const value = Number(query[name]);
    return Number.isInteger(value) && value >= 0 ? value : undefined;
  };
  const count = number('_count') ?? 1000;
  const offset = number('_offset');
  const bundle = await source.search({
    resourceType: 'Patient',
    types: (types ?? ['Patient', ...source.patientTypes]) as ResourceType[],
    filters: [{ code: '_compartment', operator: 'eq', value: `Patient/${id}` }],
    count,
    ...(offset !== undefined && { offset }),
  });
  return [core.allOk, bundle];
}

function typesOfParameters({ parameter }: Parameters): string[] | undefined {
  const types = (parameter ?? []).flatMap(({ name, valueCode, valueString }) =>
    name === '_type' ? [valueCode ?? valueString ?? ''] : [],
  );
  return types.length > 0 ? types : undefined;
}

async function validate({ params, body }: FhirRequest): Promise<FhirResponse> {
  if (body?.resourceType !== params.resourceType) {
    return [core.badRequest('Incorrect resource type')];
  }
  core.validateResource(body);
  return [core.allOk];
}

function emulated(repository: unknown): EmulatorRepository {
  return repository instanceof EmulatorRepository ? repository : fail(core.notFound);
}
