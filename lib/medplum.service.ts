import type { Bundle, Resource, ResourceType } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { FhirInteraction, FhirRequest } from './fhir/fhir-request';
import * as fhir from './fhir/interactions';
import type { PatchOperation, ResourceArray, ResourceOf, Stored } from './fhir/resource.types';
import type { SearchQuery } from './fhir/search-query';
import type { MedplumConnection } from './medplum-connection';
import type { MedplumRequestOptions, MedplumUpdateOptions } from './medplum-request.options';
import type { IdentityResolver } from './on-behalf-of/identity-resolver';
import type { OnBehalfOfInput, OnBehalfOfReference } from './on-behalf-of/on-behalf-of.reference';

const { INTERACTIONS } = fhir;

/**
 * The client of one Medplum project, made to be injected. Each call is made for somebody: the `onBehalfOf` of the call,
 * else the ambient scope (a handler with `@OnBehalfOf()`, or {@link MedplumService.onBehalfOf}), else the client's default.
 * A call for nobody is refused with `OnBehalfOfRequiredError`, and nothing is sent.
 *
 * Every method rejects with a `MedplumError`, and publishes one event on `MedplumAudit.events$`, whatever happens.
 */
export class MedplumService {
  readonly #connection: MedplumConnection;
  readonly #identity: IdentityResolver;

  /** @internal Made by MedplumModule; inject it. */
  constructor(connection: MedplumConnection, identity: IdentityResolver) {
    this.#connection = connection;
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
    return new MedplumService(this.#connection, this.#identity.actingAs(who));
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

  /** Creates a resource. The server gives its id; one in the resource is ignored. */
  createResource<T extends Resource>(resource: T, options: MedplumRequestOptions = {}): Promise<Stored<T>> {
    return this.#resource(INTERACTIONS.create, () => fhir.create(resource), options);
  }

  /**
   * Creates a resource unless one matches `query`, and returns the one that exists then. Only what the identity may see
   * is searched. It is repeated after a broken connection only when the query is one identifier that the resource carries.
   *
   * @throws MedplumPreconditionFailedError when several match; UnknownEffectError when that follows an attempt of unknown fate.
   */
  createResourceIfNoneExist<T extends Resource>(
    resource: T,
    query: SearchQuery,
    options: MedplumRequestOptions = {},
  ): Promise<Stored<T>> {
    return this.#resource(INTERACTIONS.create, () => fhir.createIfNoneExist(resource, query), options);
  }

  /**
   * Reads a resource by its id.
   *
   * @throws MedplumNotFoundError when it does not exist or the identity may not see it; MedplumGoneError when it was
   * deleted; MedplumForbiddenError when the identity may not read this type.
   */
  readResource<K extends ResourceType>(
    resourceType: K,
    id: string,
    options: MedplumRequestOptions = {},
  ): Promise<ResourceOf<K>> {
    return this.#resource(INTERACTIONS.read, () => fhir.read(resourceType, id), options);
  }

  /**
   * Writes a resource over its last version.
   *
   * @throws MedplumPreconditionFailedError when it has changed since it was read (see `ifMatch`).
   */
  updateResource<T extends Resource>(resource: T, options: MedplumUpdateOptions = {}): Promise<Stored<T>> {
    return this.#resource(INTERACTIONS.update, () => fhir.update(resource, options.ifMatch), options);
  }

  /**
   * Changes parts of a resource. Servers up to 5.0 ignore `If-Match` here: to guard against concurrent changes use
   * {@link MedplumService.updateResource}. Never pass on a patch that an end user wrote: it can read values back.
   */
  patchResource<K extends ResourceType>(
    resourceType: K,
    id: string,
    operations: readonly PatchOperation[],
    options: MedplumRequestOptions = {},
  ): Promise<ResourceOf<K>> {
    return this.#resource(INTERACTIONS.patch, () => fhir.patch(resourceType, id, operations), options);
  }

  /** Deletes a resource. Its history stays. */
  async deleteResource(resourceType: ResourceType, id: string, options: MedplumRequestOptions = {}): Promise<void> {
    await this.#call(INTERACTIONS.delete, () => fhir.remove(resourceType, id), options);
  }

  /** Searches, and returns the bundle as it is: one page (20 unless `_count` says otherwise), included resources as well. */
  search<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery,
    options: MedplumRequestOptions = {},
  ): Promise<Bundle<ResourceOf<K>>> {
    return this.#resource(INTERACTIONS.search, () => fhir.search(resourceType, query), options);
  }

  /** The first match of a search, `undefined` when there is none. */
  async searchOne<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery,
    options: MedplumRequestOptions = {},
  ): Promise<ResourceOf<K> | undefined> {
    const bundle = this.#resource<Bundle<ResourceOf<K>>>(
      INTERACTIONS.search,
      () => fhir.search(resourceType, query, 1),
      options,
    );
    return matches(await bundle)[0];
  }

  /** The matches of a search: one page (20 unless `_count` says otherwise). What was included stands in `bundle` only. */
  async searchResources<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery,
    options: MedplumRequestOptions = {},
  ): Promise<ResourceArray<ResourceOf<K>>> {
    const bundle = await this.search(resourceType, query, options);
    return Object.defineProperty(matches(bundle), 'bundle', { value: bundle }) as ResourceArray<ResourceOf<K>>;
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
    return this.#resource(INTERACTIONS.batch, () => fhir.batch(bundle), options);
  }

  #call(interaction: FhirInteraction, describe: () => FhirRequest, options: MedplumRequestOptions): Promise<unknown> {
    return this.#connection.call(this.#identity, interaction, describe, options);
  }

  /** A call whose answer is a resource. */
  #resource<T extends Resource>(
    interaction: FhirInteraction,
    describe: () => FhirRequest,
    options: MedplumRequestOptions,
  ): Promise<T> {
    return this.#call(interaction, describe, options) as Promise<T>;
  }
}

function matches<T extends Resource>(bundle: Bundle<T>): T[] {
  return (bundle.entry ?? []).flatMap(({ resource, search }) =>
    resource && (search?.mode ?? 'match') === 'match' ? [resource] : [],
  );
}
