import type { OnBehalfOfReference } from './on-behalf-of.reference';

/** Why a call carries the identity that it carries, or why it carries none. */
export type IdentitySource = 'call' | 'scope' | 'default' | 'cleared' | 'client-application' | 'lenient';

/** Whom one call is made for. It is fixed when the call is made and then passed on as an argument. */
export interface Identity {
  readonly source: IdentitySource;
  /** `undefined`: the call is made as the client itself. */
  readonly onBehalfOf: OnBehalfOfReference | undefined;
  /** Why the call is made as the client itself, in the words of who asked for it. */
  readonly reason?: string | undefined;
  /** The scope that it comes from had ended when the call was made. */
  readonly afterScope?: true;
}

/** The identity of a block that is run as the client itself. */
export function clientApplicationIdentity(reason?: string): Identity {
  return Object.freeze({ source: 'client-application', onBehalfOf: undefined, reason });
}

/** The identity of a block that is run for someone. */
export function scopeIdentity(onBehalfOf: OnBehalfOfReference): Identity {
  return Object.freeze({ source: 'scope', onBehalfOf });
}
