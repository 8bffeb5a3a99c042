import type { FhirRequest, FhirResponse, FhirRouter } from '@medplum/fhir-router';
import type { AsyncJob } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { deployBot } from './bot-deployment';
import { everything } from './everything-operation';
import { core } from './medplum-peers';
import { fail } from './outcome-error';
import { emulated } from './repository';
import { validateResource } from './resource-validation';
import { addTerminology } from './terminology-operations';

/** Adds the emulator's operations to a router, so that batches can use them too. */
export function addOperations(router: FhirRouter): void {
  router.add('GET', 'Patient/:id/$everything', everything);
  router.add('POST', 'Patient/:id/$everything', everything);
  router.add('POST', ':resourceType/$validate', validate);
  router.add('POST', ':resourceType/:id/$expunge', expunge);
  router.add('POST', 'AsyncJob/:id/$cancel', cancelJob);
  router.add('POST', 'Bot/:id/$deploy', deployBot);
  addTerminology(router);
}

/**
 * Throws the error for an operation that does not exist. The server searches for an OperationDefinition first, so a caller
 * who may not search those gets 403.
 */
export function unknownOperation(mayFindOperations: boolean): never {
  return fail(mayFindOperations ? core.notFound : core.forbidden);
}

async function validate({ body }: FhirRequest, repository: unknown): Promise<FhirResponse> {
  validateResource(body, emulated(repository).serverVersion);
  return [core.allOk];
}

/** Removes a resource with all of its versions. */
async function expunge({ params }: FhirRequest, repository: unknown): Promise<FhirResponse> {
  emulated(repository).expunge(params.resourceType ?? '', params.id ?? '');
  return [core.allOk];
}

/** Cancels a job that waits. Cancelling it again changes nothing. */
export async function cancelJob({ params }: Pick<FhirRequest, 'params'>, repository: unknown): Promise<FhirResponse> {
  const source = emulated(repository);
  const job = await source.readResource<AsyncJob>('AsyncJob', params.id ?? '');
  if (job.status === 'accepted') {
    await source.asSystem().patchResource('AsyncJob', job.id, [{ op: 'add', path: '/status', value: 'cancelled' }]);
  } else if (job.status !== 'cancelled') {
    const text = `AsyncJob cannot be cancelled if status is not 'accepted', job had status '${job.status}'`;
    return [core.badRequest(text)];
  }
  return [core.allOk];
}
