import type { Bundle, ProjectMembership } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumGoneError, MedplumNotFoundError } from '../errors/response.errors';
import { INTERACTIONS, read } from '../fhir/interactions';
import { findMemberships, membershipId } from '../fhir/memberships';
import type { WithId } from '../fhir/resource.types';
import { splitBundle } from '../fhir/search';
import { clientApplicationIdentity } from '../on-behalf-of/identity';
import { isFhirId } from '../shared/fhir-id';
import { Call } from './call';
import type { MedplumConnection } from './connection';

const IDENTITY = clientApplicationIdentity('membershipCheck');

/** @internal The memberships that a reference means, read as the client itself; none when there is no such membership. */
export async function lookUpMemberships(
  connection: MedplumConnection,
  reference: string,
): Promise<readonly WithId<ProjectMembership>[]> {
  const call = new Call(connection, { pin: () => IDENTITY }, {});
  if (!reference.startsWith('ProjectMembership/')) {
    const bundle = await call.body(INTERACTIONS.search, () => findMemberships({ profile: reference }));
    // What the server found has to be about the profile that was asked for.
    return splitBundle<WithId<ProjectMembership>>(bundle as Bundle).matches.filter(
      ({ resourceType, id, profile }) =>
        resourceType === 'ProjectMembership' && isFhirId(id) && profile?.reference === reference,
    );
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
