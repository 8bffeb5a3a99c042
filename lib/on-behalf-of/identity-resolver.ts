import { OnBehalfOfReferenceError, OnBehalfOfRequiredError } from '../errors/on-behalf-of.errors';
import { clientApplicationIdentity, type Identity, scopeIdentity } from './identity';
import { parseOnBehalfOf, type OnBehalfOfReference } from './on-behalf-of.reference';
import type { InboundRequest } from './inbound-request';
import { OnBehalfOfScope } from './on-behalf-of.scope';

/** The rules of one client that decide whom a call is made for. */
export interface IdentityRules {
  readonly clientId: string;
  readonly requireOnBehalfOf: boolean;
  readonly allowEmptyClear: boolean;
  readonly defaultOnBehalfOf: OnBehalfOfReference | undefined;
}

/** What a call may say about its identity. Only an absent key means "not said". */
export interface CallIdentity {
  readonly onBehalfOf?: unknown;
}

const CLEARED: Identity = Object.freeze({ source: 'cleared', onBehalfOf: undefined });
const LENIENT: Identity = Object.freeze({ source: 'lenient', onBehalfOf: undefined });

/** Per-call option > ambient scope > client default > none. Everything that needs an identity asks here. */
export class IdentityResolver {
  /** The ambient identity. */
  readonly scope = new OnBehalfOfScope();
  readonly #rules: IdentityRules;
  readonly #default: Identity | undefined;

  constructor(rules: IdentityRules) {
    this.#rules = rules;
    const { defaultOnBehalfOf: onBehalfOf } = rules;
    this.#default = onBehalfOf && Object.freeze({ source: 'default', onBehalfOf });
  }

  /** The rules of this client with another default, and a scope of its own. */
  actingAs(who: unknown): IdentityResolver {
    return new IdentityResolver({
      ...this.#rules,
      defaultOnBehalfOf: this.parse(who, 'The identity given to actingAs()'),
    });
  }

  /** @throws OnBehalfOfReferenceError */
  parse(input: unknown, where: string): OnBehalfOfReference {
    return parseOnBehalfOf(input, where, this.#rules.clientId);
  }

  /** Calls `fn` with `who` as the ambient identity. */
  onBehalfOf<T>(who: unknown, fn: () => T): T {
    return this.scope.run(scopeIdentity(this.parse(who, 'The identity of the scope')), fn);
  }

  /** Calls `fn` as the client itself. */
  asClientApplication<T>(fn: () => T, options: { readonly reason?: string | undefined } = {}): T {
    return this.scope.run(clientApplicationIdentity(options.reason), fn);
  }

  /** What is in force around the caller, a call's own option aside. */
  get ambient(): Identity | undefined {
    return this.scope.identity ?? this.#default;
  }

  /** The HTTP request that is served around the caller, if a decorated handler serves one. */
  get inbound(): InboundRequest | undefined {
    return this.scope.inbound;
  }

  /**
   * Whom this call is made for.
   *
   * @throws OnBehalfOfReferenceError when the call names someone in a way that is not one reference.
   * @throws OnBehalfOfRequiredError when nobody is named anywhere.
   */
  pin(call: CallIdentity): Identity {
    if ('onBehalfOf' in call) {
      return this.#fromCall(call.onBehalfOf);
    }
    const identity = this.ambient;
    if (identity) {
      return identity;
    }
    if (!this.#rules.requireOnBehalfOf) {
      return LENIENT;
    }
    throw new OnBehalfOfRequiredError(
      'This call to Medplum names nobody to act for, and without a name it would run with the rights of the client, a project admin. ' +
        'Decorate the handler with @OnBehalfOf(), pass { onBehalfOf }, or say that the client itself is meant: ' +
        'asClientApplication() or @AsClientApplication(). Nothing was sent.',
    );
  }

  /** What is in force around the caller, to be kept for later. */
  capture(): Identity {
    const identity = this.ambient;
    if (!identity) {
      throw new OnBehalfOfRequiredError(
        'bind() keeps the identity that is in force where it is called, and there is none: call it inside a handler with @OnBehalfOf() or inside onBehalfOf().',
      );
    }
    return identity;
  }

  #fromCall(value: unknown): Identity {
    if (value === undefined || value === null) {
      throw new OnBehalfOfReferenceError(
        `The onBehalfOf option is present but ${String(value)}. Leave the key out to use the ambient identity. Nothing was sent.`,
      );
    }
    if (value !== '') {
      return { source: 'call', onBehalfOf: this.parse(value, 'The onBehalfOf option') };
    }
    if (!this.#rules.allowEmptyClear) {
      throw new OnBehalfOfRequiredError(
        "onBehalfOf: '' is switched off for this client (allowEmptyClear: false). Use asClientApplication() to call as the client itself. Nothing was sent.",
      );
    }
    return CLEARED;
  }
}
