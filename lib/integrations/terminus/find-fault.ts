import type { Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { isMedplumError } from '../../errors/medplum.error';
import { INTERACTIONS } from '../../fhir/interactions';
import { search, splitBundle } from '../../fhir/search';
import { referenceTo } from '../../fhir/search-values';
import type { MedplumConnection } from '../../medplum-connection';
import { clientApplicationIdentity } from '../../on-behalf-of/identity';

const IDENTITY = clientApplicationIdentity('health check');

/**
 * Asks the server for the membership of the client, as the client itself. Not `/auth/me`: its answer holds the secret.
 *
 * @returns why the client cannot be used, in words that may be logged; `undefined` when it can.
 */
export async function findFault(connection: MedplumConnection, timeout: number): Promise<string | undefined> {
  try {
    const call = connection.pin({ pin: () => IDENTITY }, { timeout, retry: { maxRetries: 0 } });
    const answer = await call.body(INTERACTIONS.search, () =>
      search('ProjectMembership', {
        profile: referenceTo(`ClientApplication/${connection.clientId}`),
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
      ? 'it is no project admin, so it can act for nobody. Set "admin": true in its ProjectMembership.'
      : 'the server shows it no ProjectMembership of its own. Look at the clientId and at the project.';
  } catch (error) {
    // Neither messages nor anything else of the error: texts of the server stay out of the log.
    return isMedplumError(error) ? `its health check failed with ${error.code}.` : 'its health check failed.';
  }
}
