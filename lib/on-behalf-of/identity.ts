import type { OnBehalfOfReference } from './on-behalf-of.reference';

/** Where the identity of a call comes from, or why the call has none. */
export type IdentitySource = 'call' | 'scope' | 'default' | 'cleared' | 'client-application' | 'lenient';

/** Who one call acts as. It is fixed when the call is made, and then passed on as an argument. */
export interface Identity {
  readonly source: IdentitySource;
  /** `undefined`: the call acts as the client itself. */
  readonly onBehalfOf: OnBehalfOfReference | undefined;
  /** Why the call acts as the client itself, in the words of the code that asked for it. */
  readonly reason?: string | undefined;
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

/** The identity of a scope that runs as the client itself. */
export function clientApplicationIdentity(reason?: string): Identity {
  return Object.freeze({ source: 'client-application', onBehalfOf: undefined, reason });
}

/**
 * The identity of a scope that runs on behalf of someone.
 *
 * @param who what `onBehalfOf` was parsed from.
 */
export function scopeIdentity(onBehalfOf: OnBehalfOfReference, who?: unknown): Identity {
  return Object.freeze(
    who instanceof DelegatedIdentity
      ? { source: 'scope', onBehalfOf, delegation: who.delegation }
      : { source: 'scope', onBehalfOf },
  );
}
