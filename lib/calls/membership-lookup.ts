import type { Bundle, ProjectMembership } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumGoneError, MedplumNotFoundError } from '../errors/response.errors';
import { INTERACTIONS, read } from '../fhir/interactions';
import { findMemberships, foundMemberships, membershipId } from '../fhir/memberships';
import type { WithId } from '../fhir/resource.types';
import { clientApplicationIdentity } from '../on-behalf-of/identity';
import { Call } from './call';
import type { MedplumConnection } from './connection';

const IDENTITY = clientApplicationIdentity('membershipCheck');

/** @internal The memberships that a reference means, read as the client itself; none when there is no such membership. */
export async function lookUpMemberships(
  connection: MedplumConnection,
  reference: string,
): Promise<readonly WithId<ProjectMembership>[]> {
  // In the queue, a look-up counts for whom it is made: look-ups of many users must not wait for each other.
  const call = new Call(connection, { pin: () => IDENTITY }, {}, { share: reference });
  if (!reference.startsWith('ProjectMembership/')) {
    const query = { profile: reference };
    const bundle = await call.body(INTERACTIONS.search, () => findMemberships(query));
    return foundMemberships(query, bundle as Bundle);
  }
  try {
    const membership = await call.body(INTERACTIONS.read, () => read('ProjectMembership', membershipId(reference)));
    return [membership as WithId<ProjectMembership>];
  } catch (error) {
    if (error instanceof MedplumNotFoundError || error instanceof MedplumGoneError) {
      return [];
    }
    throw error;
  }
}
