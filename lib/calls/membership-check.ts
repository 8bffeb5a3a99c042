import type { ProjectMembership } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { OnBehalfOfRejectedError } from '../errors/on-behalf-of.errors';
import type { WithId } from '../fhir/resource.types';
import { isFhirId } from '../shared/fhir-id';
import { objects } from '../shared/objects';

/**
 * Which memberships calls may act as. Inactive memberships and the client's own are always refused, and unless you say
 * otherwise, project admins and memberships without an access policy.
 */
export interface MembershipCheckOptions {
  /** Allows calls to act as project admins. Default `false`. */
  readonly allowAdminIdentity?: boolean | undefined;
  /** Refuses memberships without any access policy, which may do everything in the project. Default `true`. */
  readonly requirePolicy?: boolean | undefined;
  /** How long the result of a check is kept, in ms; at most 300,000. Default 60,000. */
  readonly ttl?: number | undefined;
  /** Most results to keep. Default 1,000. */
  readonly maxEntries?: number | undefined;
}

/** @internal Asks the server for the memberships that a reference means. */
export type MembershipLookup = (reference: string) => Promise<readonly WithId<ProjectMembership>[]>;

type MembershipReference = `ProjectMembership/${string}`;

interface Entry {
  readonly answer: Promise<MembershipReference>;
  /** By the monotonic clock. */
  readonly expires: number;
  membership?: string;
}

function hasPolicy({ accessPolicy, access }: ProjectMembership): boolean {
  return [accessPolicy, ...objects(access).map(({ policy }) => policy)].some(
    (policy) => typeof policy?.reference === 'string' && policy.reference !== '',
  );
}

function refused(why: string): OnBehalfOfRejectedError {
  return new OnBehalfOfRejectedError(`The membership check refused the identity: ${why} Nothing was sent for it.`);
}

/**
 * @internal Vets the identities of one client. It keeps results for a while, but no errors. An expired result is not used
 * even if the server cannot be reached.
 */
export class MembershipCheck {
  readonly #entries = new Map<string, Entry>();
  readonly #options: Required<MembershipCheckOptions>;
  readonly #clientId: string;
  readonly #lookup: MembershipLookup;

  constructor(options: Required<MembershipCheckOptions>, clientId: string, lookup: MembershipLookup) {
    this.#options = options;
    this.#clientId = clientId;
    this.#lookup = lookup;
  }

  /** The membership that a reference means. Concurrent calls share one look-up. */
  resolve(reference: string): Promise<MembershipReference> {
    const known = this.#entries.get(reference);
    if (known && known.expires > performance.now()) {
      return known.answer;
    }
    const answer = this.#ask(reference);
    const entry: Entry = { answer, expires: performance.now() + this.#options.ttl };
    this.#entries.delete(reference);
    this.#entries.set(reference, entry);
    answer.then(
      (membership) => (entry.membership = membership),
      () => this.#entries.get(reference) === entry && this.#entries.delete(reference),
    );
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#options.maxEntries) {
        break;
      }
      this.#entries.delete(oldest);
    }
    return answer;
  }

  /** The membership that a reference means now. The result is kept for the calls that follow. */
  resolveAfresh(reference: string): Promise<MembershipReference> {
    this.#entries.delete(reference);
    return this.resolve(reference);
  }

  /** Forgets the results for a membership or profile, and all look-ups under way, because they may be about it. */
  invalidate(reference: string): void {
    const bare = isFhirId(reference) ? `ProjectMembership/${reference}` : reference;
    const membership = this.#entries.get(bare)?.membership ?? bare;
    for (const [key, entry] of this.#entries) {
      if (key === bare || entry.membership === undefined || entry.membership === membership) {
        this.#entries.delete(key);
      }
    }
  }

  async #ask(reference: string): Promise<MembershipReference> {
    const found = await this.#lookup(reference);
    const active = found.filter((membership) => membership.active !== false);
    const [membership, another] = active;
    if (!membership) {
      throw refused(found.length > 0 ? 'it is inactive.' : 'there is no such membership in the project.');
    }
    if (another) {
      throw refused('the profile has several active memberships, so name one: ProjectMembership/<id>.');
    }
    if (membership.profile?.reference === `ClientApplication/${this.#clientId}`) {
      throw refused('it is the membership of the client itself.');
    }
    if (membership.admin === true && !this.#options.allowAdminIdentity) {
      throw refused('it is a project admin (membershipCheck.allowAdminIdentity).');
    }
    if (this.#options.requirePolicy && !hasPolicy(membership)) {
      throw refused(
        'it has no access policy, so it may do everything in the project. Give it one, or set membershipCheck.requirePolicy to false.',
      );
    }
    return `ProjectMembership/${membership.id}`;
  }
}
