import type { AccessPolicyInteraction } from '@medplum/core';
import type { EffectivePolicy } from './access-policy';
import type { EmulatorAuthKind, ProjectMembership, Reference } from './emulator.types';

/** Who sends a request, and for whom. */
export interface Caller {
  readonly auth: EmulatorAuthKind;
  /** Id of the project that the caller belongs to. */
  readonly project: string;
  /** The membership that authenticated: of the client, also under on-behalf-of. */
  readonly membership: ProjectMembership & { id: string };
  /** Goes into `meta.author`. */
  readonly author: Reference;
  /** Goes into `meta.onBehalfOf`: the profile of the identity. */
  readonly onBehalfOf?: Reference;
  /** The membership whose rights count: the identity's, else the caller's own. */
  readonly actingMembership: ProjectMembership & { id: string };
  readonly policy: EffectivePolicy;
  /** The client without the identity, where there is one. */
  readonly self?: Caller;
}

/** Prices of FHIR interactions in points of the quota. */
export const INTERACTION_POINTS: Readonly<Record<AccessPolicyInteraction, number>> = {
  read: 1,
  vread: 1,
  history: 10,
  search: 20,
  create: 100,
  update: 100,
  delete: 100,
};
