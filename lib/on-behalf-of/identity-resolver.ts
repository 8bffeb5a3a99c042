import { OnBehalfOfReferenceError, OnBehalfOfRequiredError } from '../errors/on-behalf-of.errors';
import { AmbientScope, CallScope } from './call-scope';
import { clientApplicationIdentity, type Identity, scopeIdentity } from './identity';
import { parseOnBehalfOf, type OnBehalfOfReference } from './on-behalf-of.reference';
import type { InboundRequest } from './inbound-request';
import { purposes, type ScopeOptions } from './purpose-of-use';

/** The rules of one client that decide who a call acts as. */
export interface IdentityRules {
  readonly clientId: string;
  readonly requireOnBehalfOf: boolean;
  readonly allowEmptyClear: boolean;
  readonly defaultOnBehalfOf: OnBehalfOfReference | undefined;
  /** What becomes of a call made under a scope that has ended. The client's own rights are refused then in any case. */
  readonly lateCalls: LateCalls;
}

/** What becomes of calls made under a scope that has ended. */
export type LateCalls = 'refuse' | 'warn' | 'allow';

/** What a call may say about its identity. Only an absent key means "not said". */
export interface CallIdentity {
  readonly onBehalfOf?: unknown;
}

const CLEARED: Identity = Object.freeze({ source: 'cleared', onBehalfOf: undefined });
const LENIENT: Identity = Object.freeze({ source: 'lenient', onBehalfOf: undefined });

/**
 * Decides who a call of one client acts as: the option of the call, else the ambient scope, else the default of the
 * client, else nobody.
 */
export class IdentityResolver {
  readonly scope = new AmbientScope();
  readonly #rules: IdentityRules;
  readonly #default: Identity | undefined;

  readonly #explainNobody: () => string;

  /** @param explainNobody says why a call has no identity and what to do. */
  constructor(rules: IdentityRules, explainNobody: () => string) {
    this.#rules = rules;
    this.#explainNobody = explainNobody;
    const { defaultOnBehalfOf: onBehalfOf } = rules;
    this.#default = onBehalfOf && Object.freeze({ source: 'default', onBehalfOf });
  }

  /** A resolver with the rules of this client, another default, and its own scope. */
  actingAs(who: unknown): IdentityResolver {
    const defaultOnBehalfOf = this.parse(who, 'The identity given to actingAs()');
    return new IdentityResolver({ ...this.#rules, defaultOnBehalfOf }, this.#explainNobody);
  }

  /** @throws OnBehalfOfReferenceError when `input` is not exactly one reference. */
  parse(input: unknown, where: string): OnBehalfOfReference {
    return parseOnBehalfOf(input, where, this.#rules.clientId);
  }

  /** Calls `fn` in a scope whose identity is `who`. The purpose of use is that of the scope around it, unless given. */
  onBehalfOf<T>(who: unknown, fn: () => T, options: ScopeOptions = {}): T {
    const onBehalfOf = this.parse(who, 'The identity of the scope');
    return this.runAs(scopeIdentity(onBehalfOf, who, this.#purposeOf(options)), fn);
  }

  /** Calls `fn` in a scope with the rights of the client itself. */
  asClientApplication<T>(fn: () => T, options: ScopeOptions & { readonly reason?: string | undefined } = {}): T {
    return this.runAs(clientApplicationIdentity(options.reason, this.#purposeOf(options)), fn);
  }

  /** Calls `fn` in a scope with this identity. */
  runAs<T>(identity: Identity, fn: () => T): T {
    return this.scope.run(new CallScope(identity, this.inbound), fn);
  }

  #purposeOf({ purposeOfUse }: ScopeOptions): readonly string[] | undefined {
    return purposeOfUse === undefined
      ? this.scope.current?.identity.purposeOfUse
      : purposes(purposeOfUse, 'The purposeOfUse of the scope');
  }

  /** The identity that a call without an option of its own would use here; `undefined` when it would be refused. */
  get ambient(): Identity | undefined {
    const { current } = this.scope;
    if (current) {
      return this.#refuses(current) ? undefined : current.identity;
    }
    return this.#default;
  }

  /** Whether the scope around the caller has ended. */
  get isAfterScope(): boolean {
    return this.scope.current?.isEnded === true;
  }

  /** The HTTP request that the surrounding decorated handler serves, if there is one. */
  get inbound(): InboundRequest | undefined {
    return this.scope.current?.inbound;
  }

  /**
   * The identity that this call acts as.
   *
   * @throws OnBehalfOfReferenceError when the call's option is not exactly one reference.
   * @throws OnBehalfOfRequiredError when there is no identity.
   */
  pin(call: CallIdentity): Identity {
    if ('onBehalfOf' in call) {
      return this.#fromCall(call.onBehalfOf);
    }
    const { current } = this.scope;
    const identity = current ? this.#ofScope(current) : this.#default;
    if (identity) {
      return identity;
    }
    if (!this.#rules.requireOnBehalfOf) {
      return LENIENT;
    }
    throw new OnBehalfOfRequiredError(this.#explainNobody());
  }

  /**
   * Ties a function to the identity and the inbound request of the caller. Each use runs in a scope of its own: what an
   * earlier use left behind stays ended.
   *
   * @throws OnBehalfOfRequiredError when there is no identity.
   */
  bind<A extends readonly unknown[], R>(fn: (...args: A) => R): (...args: A) => R {
    const { scope: ambient } = this;
    const { current } = ambient;
    const identity = current ? this.#ofScope(current) : this.#default;
    if (!identity) {
      throw new OnBehalfOfRequiredError(
        'bind() was called where there is no identity to keep. Call it inside a handler with @OnBehalfOf(), or inside onBehalfOf().',
      );
    }
    const scopeOfUse = (): CallScope =>
      current?.identity === identity ? current.another() : new CallScope(identity, current?.inbound);
    return function (this: unknown, ...args: A): R {
      return ambient.run(scopeOfUse(), () => Reflect.apply(fn, this, args));
    };
  }

  /** @throws OnBehalfOfRequiredError when the scope has ended and late calls are refused. */
  #ofScope(scope: CallScope): Identity {
    if (!scope.isEnded) {
      return scope.identity;
    }
    if (scope.isRevoked) {
      throw new OnBehalfOfRequiredError(
        'The handler that this call to Medplum belongs to has been ended, because its identity was asked for again (reauthorizeEvery) and not confirmed. Nothing was sent.',
      );
    }
    if (this.#refuses(scope)) {
      throw new OnBehalfOfRequiredError(
        'The scope that this call to Medplum runs in has ended: its function has settled, and the response of its request is closed. Nothing was sent. ' +
          'Await the work inside the function. For a callback that runs later, use bind(), pass { onBehalfOf }, or decorate the method with @RunOnBehalfOf(). ' +
          'A connection, timer or subscription that was first opened inside a scope keeps that scope: open what is shared outside.',
      );
    }
    return Object.freeze({ ...scope.identity, afterScope: true });
  }

  #refuses(scope: CallScope): boolean {
    const { onBehalfOf, source } = scope.identity;
    return (
      scope.isEnded &&
      (scope.isRevoked || onBehalfOf === undefined || source === 'break-glass' || this.#rules.lateCalls === 'refuse')
    );
  }

  #fromCall(value: unknown): Identity {
    if (value === undefined || value === null) {
      throw new OnBehalfOfReferenceError(
        `The onBehalfOf option is ${String(value)}, so the call names nobody. Nothing was sent. Leave the key out to use the ambient identity.`,
      );
    }
    if (value !== '') {
      return { source: 'call', onBehalfOf: this.parse(value, 'The onBehalfOf option') };
    }
    if (!this.#rules.allowEmptyClear) {
      throw new OnBehalfOfRequiredError(
        "onBehalfOf: '' is not allowed for this client (allowEmptyClear: false). Nothing was sent. Use asClientApplication() to call as the client itself.",
      );
    }
    return CLEARED;
  }
}
