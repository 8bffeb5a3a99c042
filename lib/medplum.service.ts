import { MedplumBinaries } from './client/binaries';
import { MedplumBots } from './client/bots';
import { MedplumFetchMethods } from './client/fetch-methods';
import { MedplumBulk } from './client/bulk';
import { MedplumCalls } from './client/medplum-calls';
import { MedplumMemberships } from './client/memberships';
import { MedplumOperations } from './client/operations';
import type { MedplumConnection } from './medplum-connection';
import type { IdentityResolver } from './on-behalf-of/identity-resolver';
import type { OnBehalfOfInput, OnBehalfOfReference } from './on-behalf-of/on-behalf-of.reference';

/**
 * The client of one Medplum project, made to be injected. Each call is made for somebody: the `onBehalfOf` of the call,
 * else the ambient scope (a handler with `@OnBehalfOf()`, or {@link MedplumService.onBehalfOf}), else the client's default.
 * A call for nobody is refused with `OnBehalfOfRequiredError`, and nothing is sent.
 *
 * Every method rejects with a `MedplumError`, and publishes one event on `MedplumAudit.events$`, whatever happens.
 */
export class MedplumService extends MedplumFetchMethods {
  /** Files: upload, download, attachments. */
  readonly binaries: MedplumBinaries;
  /** Making and deploying of bots. */
  readonly bots: MedplumBots;
  /** Exports and other jobs. */
  readonly bulk: MedplumBulk;
  /** Who may be acted for: finding, inviting, access. Always as the client itself. */
  readonly memberships: MedplumMemberships;
  /** FHIR operations: `$everything`, `$expand`, `$validate` … */
  readonly operations: MedplumOperations;

  readonly #identity: IdentityResolver;

  /** @internal Made by MedplumModule; inject it. */
  constructor(connection: MedplumConnection, identity: IdentityResolver) {
    super(new MedplumCalls(connection, identity));
    this.#identity = identity;
    this.binaries = new MedplumBinaries(this.calls);
    this.bulk = new MedplumBulk(this.calls);
    this.bots = new MedplumBots(this.calls);
    this.memberships = new MedplumMemberships(this.calls);
    this.operations = new MedplumOperations(this.calls);
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
}
