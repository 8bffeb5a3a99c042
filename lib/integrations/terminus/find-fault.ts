import type { Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { isMedplumError, type MedplumError } from '../../errors/medplum.error';
import { INTERACTIONS } from '../../fhir/interactions';
import { search, splitBundle } from '../../fhir/search';
import { referenceTo } from '../../fhir/search-values';
import { Call } from '../../calls/call';
import { isRefusal, likelyCause } from '../../calls/likely-cause';
import type { MedplumConnection } from '../../calls/connection';
import { clientApplicationIdentity } from '../../on-behalf-of/identity';

const IDENTITY = clientApplicationIdentity('health check');

/**
 * Searches for the client's own membership, as the client itself. `/auth/me` is not used, because its response holds the
 * client's secret.
 *
 * @returns why the client cannot be used, in words that may be logged; `undefined` if it can be used.
 */
export async function findFault(connection: MedplumConnection, timeout: number): Promise<string | undefined> {
  try {
    const options = { timeout, retry: { maxRetries: 0 } };
    const call = new Call(connection, { pin: () => IDENTITY }, options, { logsItself: true, share: 'nobody' });
    const answer = await call.body(INTERACTIONS.search, () =>
      search('ProjectMembership', {
        profile: referenceTo(`ClientApplication/${connection.settings.clientId}`),
        _elements: 'admin',
      }),
    );
    const memberships = splitBundle(answer as Bundle).matches.filter(
      (resource) => resource.resourceType === 'ProjectMembership',
    );
    if (memberships.some(({ admin }) => admin === true)) {
      return undefined;
    }
    return memberships.length > 0
      ? 'it is not a project admin, so it cannot act on behalf of anybody. Set "admin": true in its ProjectMembership.'
      : 'the server shows it no ProjectMembership of its own. Check the clientId and the project.';
  } catch (error) {
    return isMedplumError(error) ? faultOf(error) : 'its health check failed.';
  }
}

/** The same words as in the log of refused requests. Text of the server must not get into the log. */
function faultOf(error: MedplumError): string {
  const failed = `its health check failed with ${error.code}.`;
  if (!isRefusal(error)) {
    return failed;
  }
  const { cause, fix } = likelyCause(error);
  return `${failed} Likely cause: ${cause}. ${fix}`;
}
