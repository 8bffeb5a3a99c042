import type { Bundle, ProjectMembership, ProjectMembershipAccess } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import {
  MedplumBadRequestError,
  MedplumConflictError,
  MedplumPreconditionFailedError,
  MedplumProtocolError,
} from '../errors/response.errors';
import { INTERACTIONS, read, update } from '../fhir/interactions';
import {
  type AccessPolicyInput,
  canonicalAccess,
  changeAccess,
  checkManaged,
  managedPolicies,
} from '../fhir/membership-access';
import {
  findMemberships,
  foundMemberships,
  type Invitation,
  invite,
  INVITE,
  membershipId,
  type MembershipQuery,
} from '../fhir/memberships';
import { clientApplicationIdentity } from '../on-behalf-of/identity';
import { OnBehalfOfReferenceError } from '../errors/on-behalf-of.errors';
import { isFhirId } from '../shared/fhir-id';
import type { WithId } from '../fhir/resource.types';
import type { Call, ClientCalls } from '../calls/call';
import type { MedplumAccessOptions, MedplumAdminOptions } from './client.options';
import type { CallIdentitySource, OptionUse } from '../calls/call-context';

/** The result of a change of access. */
export interface AccessResult {
  /** Whether the membership was written. */
  readonly updated: boolean;
  /** The current version of the membership. */
  readonly versionId: string;
  /** How many entries of the managed policies there are now. */
  readonly managed: number;
  /** How many entries of other policies there are. They stay as they are. */
  readonly untouched: number;
}

/** Whether another writer was faster: the version changed, or two transactions collided. Nothing was written then. */
function isConcurrent(error: unknown): boolean {
  return error instanceof MedplumPreconditionFailedError || (error instanceof MedplumConflictError && error.retryable);
}

/** Memberships are managed as the client itself, whatever identity is ambient. */
const pinClient: CallIdentitySource['pin'] = (call) => {
  if ('onBehalfOf' in call && call.onBehalfOf !== '') {
    throw new OnBehalfOfReferenceError(
      'Memberships are managed as the client itself, so these methods take no onBehalfOf. Nothing was sent. Leave the option out.',
    );
  }
  return clientApplicationIdentity('memberships');
};

const ACCESS = { further: ['force', 'maxRetries', 'allowUnrestricted'], timeout: 'whole' } as const;

/**
 * Manages who the client may act as: `medplum.memberships`. All methods run as the client itself, a project admin,
 * whatever the ambient identity is. Passing an identity is an error. Check what your users may do before they reach it.
 */
export class MedplumMemberships {
  readonly #calls: ClientCalls;

  /** @internal */
  constructor(calls: ClientCalls) {
    this.#calls = calls;
  }

  /**
   * Finds the memberships of a person, active or not. Only memberships whose whole value is equal are returned.
   *
   * Several matches are several memberships of that person in the project, each with rights of its own: for instance one
   * as a Practitioner and one as a Patient. Their order means nothing, so do not act as the first one. Choose by `active`,
   * `profile` or `identifier`, and refuse the login if more than one is left.
   *
   * @throws MedplumBadRequestError unless the query has exactly one of its keys.
   */
  async find(query: MembershipQuery, options: MedplumAdminOptions = {}): Promise<WithId<ProjectMembership>[]> {
    const call = this.#begin(options);
    const asked = { ...query };
    const bundle = await call.body(INTERACTIONS.search, () => findMemberships(asked));
    return foundMemberships(asked, bundle as Bundle);
  }

  /** Invites a person into the project: creates a user, a profile and a membership. */
  invite(
    projectId: string,
    invitation: Invitation,
    options: MedplumAdminOptions = {},
  ): Promise<WithId<ProjectMembership>> {
    const call = this.#begin(options);
    return call.body(INVITE, () => invite(projectId, invitation)) as Promise<WithId<ProjectMembership>>;
  }

  /**
   * Replaces the entries of the managed policies in `ProjectMembership.access` by `entries`. Entries of other policies
   * stay. Nothing is written when nothing changes. After a concurrent change it reads the membership again and retries,
   * until the change is through or the `timeout` of the call ends.
   *
   * @param membership its id, or `ProjectMembership/id`.
   * @param policies the managed policies, by id or as `AccessPolicy/id`.
   * @throws MedplumBadRequestError for entries of other policies, without policies, and when no policy at all would be
   * left, because a membership without one may do everything (`allowUnrestricted`).
   * @throws MedplumTimeoutError when others keep changing the membership; with `maxRetries`, then
   * MedplumPreconditionFailedError.
   */
  mergeAccess(
    membership: string,
    entries: readonly ProjectMembershipAccess[],
    policies: readonly AccessPolicyInput[],
    options: MedplumAccessOptions = {},
  ): Promise<AccessResult> {
    return this.#change(membership, entries, policies, () => entries, options);
  }

  /** Adds an entry to the managed ones, unless it is there. Else like {@link MedplumMemberships.mergeAccess}. */
  addAccess(
    membership: string,
    entry: ProjectMembershipAccess,
    policies: readonly AccessPolicyInput[],
    options: MedplumAccessOptions = {},
  ): Promise<AccessResult> {
    return this.#change(membership, [entry], policies, (before) => [...before, entry], options);
  }

  /** Removes an entry from the managed ones, if it is there. Else like {@link MedplumMemberships.mergeAccess}. */
  removeAccess(
    membership: string,
    entry: ProjectMembershipAccess,
    policies: readonly AccessPolicyInput[],
    options: MedplumAccessOptions = {},
  ): Promise<AccessResult> {
    const without = (before: readonly ProjectMembershipAccess[]) =>
      before.filter((one) => canonicalAccess(one) !== canonicalAccess(entry));
    return this.#change(membership, [entry], policies, without, options);
  }

  /**
   * Makes the membership check forget an identity (`ProjectMembership/id`, or a profile). Call it after you have changed or
   * deactivated the membership. Other processes keep their results until these expire.
   */
  invalidate(reference: string): void {
    this.#calls.connection.membershipCheck?.invalidate(reference);
  }

  #begin(options: MedplumAdminOptions, use?: OptionUse): Call {
    const { inbound } = this.#calls.identity;
    return this.#calls.begin(options, use, { pin: pinClient, inbound });
  }

  async #change(
    membership: string,
    entries: readonly ProjectMembershipAccess[],
    policies: readonly AccessPolicyInput[],
    change: (before: readonly ProjectMembershipAccess[]) => readonly ProjectMembershipAccess[],
    options: MedplumAccessOptions,
  ): Promise<AccessResult> {
    const call = this.#begin(options, ACCESS);
    return call.whole(async () => {
      for (let retries = 0; ; retries++) {
        const before = (await call.body(INTERACTIONS.read, () => {
          checkManaged(entries, managedPolicies(policies));
          return read('ProjectMembership', membershipId(membership));
        })) as WithId<ProjectMembership>;
        try {
          return await this.#write(call, before, changeAccess(before, managedPolicies(policies), change), options);
        } catch (error) {
          if (!isConcurrent(error) || retries >= (options.maxRetries ?? Infinity)) {
            throw error;
          }
          // One of the writers succeeds in each round, so the wait need not grow for long.
          await call.pause(Math.random() * Math.min(50 * 2 ** retries, 500), 'Retrying the change of access');
        }
      }
    });
  }

  async #write(
    call: Call,
    before: WithId<ProjectMembership>,
    { access, changed, managed, untouched }: ReturnType<typeof changeAccess>,
    options: MedplumAccessOptions,
  ): Promise<AccessResult> {
    const versionId = before.meta?.versionId;
    if (!isFhirId(versionId)) {
      throw new MedplumProtocolError('The server gave no version of the membership: it cannot be changed safely.');
    }
    if (access.length === 0 && !before.accessPolicy && changed && options.allowUnrestricted !== true) {
      throw new MedplumBadRequestError(
        'The change would leave the membership without any access policy, and so with access to the whole project. Nothing was written. Deactivate it, give it a policy, or pass allowUnrestricted.',
      );
    }
    if (!changed && options.force !== true) {
      return { updated: false, versionId, managed, untouched };
    }
    const after = await call.body(INTERACTIONS.update, () => update({ ...before, access: [...access] }, versionId));
    this.invalidate(`ProjectMembership/${before.id}`);
    const written =
      (after as ProjectMembership | undefined)?.meta?.versionId ??
      ((await call.body(INTERACTIONS.read, () => read('ProjectMembership', before.id))) as ProjectMembership).meta
        ?.versionId;
    return { updated: true, versionId: isFhirId(written) ? written : '', managed, untouched };
  }
}
