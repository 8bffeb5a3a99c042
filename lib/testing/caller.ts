import type { AccessPolicyInteraction } from '@medplum/core';
import type { EffectivePolicy } from './access-policy';
import type { EmulatorAuthKind, ProjectMembership, Reference } from './emulator.types';

/** Who sends a request, and on whose behalf. */
export interface Caller {
  readonly auth: EmulatorAuthKind;
  /** Id of the project that the caller belongs to. */
  readonly project: string;
  /** The membership that authenticated. It is the client's, also if the client acts on behalf of somebody. */
  readonly membership: ProjectMembership & { id: string };
  /** Written to `meta.author`. */
  readonly author: Reference;
  /** The profile of the identity, written to `meta.onBehalfOf`. */
  readonly onBehalfOf?: Reference;
  /** The membership whose rights apply: the identity's if there is one, else the client's own. */
  readonly actingMembership: ProjectMembership & { id: string };
  readonly policy: EffectivePolicy;
  /** The client without the identity; absent if there is no identity. */
  readonly self?: Caller;
}

/** How many points of the quota each FHIR interaction costs. */
export const INTERACTION_POINTS: Readonly<Record<AccessPolicyInteraction, number>> = {
  read: 1,
  vread: 1,
  history: 10,
  search: 20,
  create: 100,
  update: 100,
  delete: 100,
};
