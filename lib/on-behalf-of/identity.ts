import type { OnBehalfOfReference } from './on-behalf-of.reference';

/** Where the identity of a call comes from, or why the call has none. */
export type IdentitySource =
  'call' | 'scope' | 'default' | 'cleared' | 'client-application' | 'lenient' | 'break-glass';

/** Who one call acts as. It is fixed when the call is made, and then passed on as an argument. */
export interface Identity {
  readonly source: IdentitySource;
  /** `undefined`: the call acts as the client itself. */
  readonly onBehalfOf: OnBehalfOfReference | undefined;
  /** Why the call acts as the client itself, or why the glass was broken, in the words of the code that asked for it. */
  readonly reason?: string | undefined;
  /** Why the data is used: codes of v3-ActReason, for every call in the scope. */
  readonly purposeOfUse?: readonly string[] | undefined;
  /** Emergency access: who broke the glass. */
  readonly actor?: OnBehalfOfReference | undefined;
  /** Emergency access: when it ends, by the monotonic clock. */
  readonly expires?: number | undefined;
  /** The scope that it comes from had ended when the call was made. */
  readonly afterScope?: true;
  /** The token that the scope was opened with. */
  readonly delegation?: DelegationFacts | undefined;
}

/** What calls keep of the token that their scope was opened with. */
export interface DelegationFacts {
  /** What events say of it: the `jti` of the token, and the job that it is bound to. */
  readonly token: { readonly id: string; readonly jobId?: string | undefined };
  /** When the token expires, in seconds since 1970. */
  readonly expires: number;
}

/**
 * An identity that a verified token names. It can be given wherever an identity can: `reference` is read like that of a
 * FHIR Reference.
 */
export class DelegatedIdentity {
  readonly #reference: string;
  readonly #delegation: DelegationFacts;

  constructor(reference: string, delegation: DelegationFacts) {
    this.#reference = reference;
    this.#delegation = Object.freeze(delegation);
  }

  get reference(): string {
    return this.#reference;
  }

  get delegation(): DelegationFacts {
    return this.#delegation;
  }
}

/** The identity of emergency access. */
export interface EmergencyIdentity extends Identity {
  readonly source: 'break-glass';
  readonly onBehalfOf: OnBehalfOfReference;
  readonly reason: string;
  readonly purposeOfUse: readonly string[];
  readonly actor: OnBehalfOfReference;
  readonly expires: number;
}

/** The identity of a scope that runs as the client itself. */
export function clientApplicationIdentity(reason?: string, purposeOfUse?: readonly string[]): Identity {
  return Object.freeze({ source: 'client-application', onBehalfOf: undefined, reason, purposeOfUse });
}

/**
 * The identity of a scope that runs on behalf of someone.
 *
 * @param who what `onBehalfOf` was parsed from.
 */
export function scopeIdentity(
  onBehalfOf: OnBehalfOfReference,
  who?: unknown,
  purposeOfUse?: readonly string[],
): Identity {
  const delegation = who instanceof DelegatedIdentity ? who.delegation : undefined;
  return Object.freeze({ source: 'scope', onBehalfOf, purposeOfUse, delegation });
}
