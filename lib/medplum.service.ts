import type { Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumCalls } from './client/medplum-calls';
import { MedplumSearchMethods } from './client/search-methods';
import { batch, INTERACTIONS } from './fhir/interactions';
import type { MedplumConnection } from './medplum-connection';
import type { MedplumRequestOptions } from './medplum-request.options';
import type { IdentityResolver } from './on-behalf-of/identity-resolver';
import type { OnBehalfOfInput, OnBehalfOfReference } from './on-behalf-of/on-behalf-of.reference';

/**
 * The client of one Medplum project, made to be injected. Each call is made for somebody: the `onBehalfOf` of the call,
 * else the ambient scope (a handler with `@OnBehalfOf()`, or {@link MedplumService.onBehalfOf}), else the client's default.
 * A call for nobody is refused with `OnBehalfOfRequiredError`, and nothing is sent.
 *
 * Every method rejects with a `MedplumError`, and publishes one event on `MedplumAudit.events$`, whatever happens.
 */
export class MedplumService extends MedplumSearchMethods {
  readonly #identity: IdentityResolver;

  /** @internal Made by MedplumModule; inject it. */
  constructor(connection: MedplumConnection, identity: IdentityResolver) {
    super(new MedplumCalls(connection, identity));
    this.#identity = identity;
  }

  /** Whom a call would be made for here; `undefined` when as the client itself, or for nobody. */
  get currentOnBehalfOf(): OnBehalfOfReference | undefined {
    return this.#identity.ambient?.onBehalfOf;
  }

  /**
   * Calls `fn` with `who` as the ambient identity, and returns what it returns. Scopes nest; when `fn` is done, or has
   * thrown, the outer identity is in force again. Observables and AsyncIterables that `fn` returns keep the identity.
   *
   * @throws OnBehalfOfReferenceError when `who` is not one reference; `fn` is not called then.
   */
  onBehalfOf<T>(who: OnBehalfOfInput, fn: () => T): T {
    return this.#identity.onBehalfOf(who, fn);
  }

  /**
   * Calls `fn` as the client itself: a project admin. The one way to say that this is meant.
   *
   * @param options.reason goes into the audit events: why the client's own rights are needed. No ids, no values.
   */
  asClientApplication<T>(fn: () => T, options: { readonly reason?: string } = {}): T {
    return this.#identity.asClientApplication(fn, options);
  }

  /**
   * A service on the same connections that acts as `who` by default and knows nothing of scopes around it: one per job
   * or message. It needs no closing.
   *
   * @throws OnBehalfOfReferenceError when `who` is not one reference.
   */
  actingAs(who: OnBehalfOfInput): MedplumService {
    return new MedplumService(this.calls.connection, this.#identity.actingAs(who));
  }

  /**
   * `fn`, tied to the identity that is in force now: for emitters, pools and timers that call it from elsewhere.
   *
   * @throws OnBehalfOfRequiredError when no identity is in force.
   */
  bind<A extends readonly unknown[], R>(fn: (...args: A) => R): (...args: A) => R {
    const identity = this.#identity.capture();
    const { scope } = this.#identity;
    return function (this: unknown, ...args: A): R {
      return scope.run(identity, () => Reflect.apply(fn, this, args));
    };
  }

  /**
   * Sends a bundle of type `batch` or `transaction`; all entries run for the same identity. Look at the status of each
   * entry: a batch answers 200 when entries failed, and so does a transaction in a project without the feature
   * `transaction-bundles`, where it is not atomic.
   *
   * @throws MedplumBadRequestError for an empty bundle, one of another type, and for `Prefer: respond-async` together
   * with an identity (the server would run it as the client).
   */
  executeBatch(bundle: Bundle, options: MedplumRequestOptions = {}): Promise<Bundle> {
    return this.calls.request(INTERACTIONS.batch, () => batch(bundle), options);
  }
}
