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
}

/** The identity of a scope that runs as the client itself. */
export function clientApplicationIdentity(reason?: string): Identity {
  return Object.freeze({ source: 'client-application', onBehalfOf: undefined, reason });
}

/** The identity of a scope that runs on behalf of someone. */
export function scopeIdentity(onBehalfOf: OnBehalfOfReference): Identity {
  return Object.freeze({ source: 'scope', onBehalfOf });
}
