import type { Bundle, BundleEntry, Identifier, Reference, Resource, ResourceType } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { fetchHeaders } from './calls/caller-headers';
import { ClientCalls } from './calls/call';
import type { MedplumConnection } from './calls/connection';
import type { MedplumQuota } from './calls/medplum-quota';
import type { MedplumRequestOptions, MedplumUpdateOptions } from './calls/request.options';
import { MedplumBinaries } from './client/binaries';
import { MedplumBots } from './client/bots';
import { breakGlass, type MedplumBreakGlassRequest } from './client/break-glass';
import { MedplumBulk } from './client/bulk';
import type {
  MedplumBotOptions,
  MedplumFetchInit,
  MedplumGraphqlOptions,
  MedplumHistoryOptions,
  MedplumIterateOptions,
  MedplumPageOptions,
  MedplumSearchOptions,
  MedplumTransactionOptions,
} from './client/client.options';
import { type CoreClientOptions, MemoryStorage } from './client/core-client-options';
import { type DelegateOptions, Delegations, type RunDelegatedOptions } from './client/delegations';
import { fetchErrorResponse, fetchResponse } from './client/fetch-response';
import { MedplumMemberships } from './client/memberships';
import { MedplumOperations } from './client/operations';
import { provenanceOf } from './client/provenance';
import { iterated, pagesOf } from './client/search-pages';
import { executeBot, EXECUTE_BOT } from './fhir/bots';
import { transaction } from './fhir/bundles';
import * as conditional from './fhir/conditional';
import { fetchRequest, IGNORED_FETCH_OPTIONS } from './fhir/fetch-request';
import { graphql, GRAPHQL } from './fhir/graphql';
import * as fhir from './fhir/interactions';
import type { KnownElements } from './fhir/known-elements.types';
import { raw, rawInteraction, type RawMethod } from './fhir/raw';
import type { PatchOperation, ResourceArray, ResourceOf, Stored, WithId } from './fhir/resource.types';
import { resourceArray, search, searchTypes, type SplitBundle, splitBundle } from './fhir/search';
import type { SearchQuery } from './fhir/search-query';
import * as versions from './fhir/versions';
import type { IdentityResolver } from './on-behalf-of/identity-resolver';
import type { ScopeOptions } from './on-behalf-of/purpose-of-use';
import type { OnBehalfOfInput, OnBehalfOfReference } from './on-behalf-of/on-behalf-of.reference';

const { INTERACTIONS } = fhir;

const SEARCH_OPTIONS = ['post'];

/** The result of a search with includes. */
export interface SearchResult<T extends Resource, I extends Resource = Resource> extends SplitBundle<T, I> {
  /** How many resources match on all pages, when the query asked for it (`_total: 'accurate'`). */
  readonly total?: number;
  /** The response as it is. */
  readonly bundle: Bundle;
}

/**
 * The client of one Medplum project. Inject it.
 *
 * Every call has an identity: the call's own `onBehalfOf` option, else the ambient scope (a handler with `@OnBehalfOf()`,
 * or {@link MedplumService.onBehalfOf}), else the client's default. A call without an identity is refused with
 * `OnBehalfOfRequiredError`, and nothing is sent.
 *
 * Every method rejects with a `MedplumError`, and publishes one event on `MedplumAudit.events$`, whatever happens.
 */
export class MedplumService {
  /** Files: upload, download, attachments. */
  readonly binaries: MedplumBinaries;
  /** Creating and deploying bots. */
  readonly bots: MedplumBots;
  /** Exports and other asynchronous jobs. */
  readonly bulk: MedplumBulk;
  /** Who the client may act for: finding and inviting members, granting access. Always as the client itself. */
  readonly memberships: MedplumMemberships;
  /** FHIR operations: `$everything`, `$expand`, `$validate` … */
  readonly operations: MedplumOperations;

  // `#private`, so that logging the service does not print its connection.
  readonly #calls: ClientCalls;
  readonly #delegations: Delegations;

  /** @internal MedplumModule creates it; inject it. */
  constructor(connection: MedplumConnection, identity: IdentityResolver) {
    this.#calls = new ClientCalls(connection, identity);
    this.#delegations = new Delegations(this.#calls);
    this.binaries = new MedplumBinaries(this.#calls);
    this.bots = new MedplumBots(this.#calls);
    this.bulk = new MedplumBulk(this.#calls);
    this.memberships = new MedplumMemberships(this.#calls);
    this.operations = new MedplumOperations(this.#calls);
  }

  /** What is left of the client's quota, which all of its users share, and how many requests run and wait. */
  get quota(): MedplumQuota {
    return this.#calls.connection.quota;
  }

  /** The identity a call made here would use; `undefined` as the client itself, or without an identity. */
  get currentOnBehalfOf(): OnBehalfOfReference | undefined {
    return this.#calls.identity.ambient?.onBehalfOf;
  }

  /**
   * Calls `fn` with `who` as the ambient identity, and returns its result. Scopes nest: after `fn` the outer identity
   * applies again. Observables, streams and AsyncIterables that `fn` returns keep the identity.
   *
   * @throws OnBehalfOfReferenceError when `who` is not exactly one reference. `fn` is not called then.
   */
  onBehalfOf<T>(who: OnBehalfOfInput, fn: () => T, options: ScopeOptions = {}): T {
    return this.#calls.identity.onBehalfOf(who, fn, options);
  }

  /**
   * Calls `fn` as the client itself, with the rights of a project admin.
   *
   * @param options.reason why you need the client's own rights, for the audit events. Put no ids and no values in it.
   */
  asClientApplication<T>(fn: () => T, options: ScopeOptions & { readonly reason?: string } = {}): T {
    return this.#calls.identity.asClientApplication(fn, options);
  }

  /**
   * Calls `fn` with emergency access: the membership of the option `breakGlass` becomes the ambient identity, until `fn`
   * has settled and for `expiresIn` ms at most. The current identity, the user who breaks the glass, becomes the actor of
   * every event.
   *
   * The beginning is recorded before `fn` is called, and each call inside is recorded as with `audit.mode: 'require'`,
   * so at least one sink is needed. Then the hook `breakGlass.alert` is told. A call that begins after `expiresIn` is
   * refused. Medplum does not know of emergencies: what the access allows is the policy of that membership.
   *
   * @throws MedplumConfigError without the option `breakGlass`; MedplumBadRequestError for a bad `reason` or
   * `expiresIn`; OnBehalfOfRequiredError when no user is here to answer for it; AuditSinkError when the beginning is not
   * recorded. `fn` is not called then.
   */
  breakGlass<T>(request: MedplumBreakGlassRequest, fn: () => T): Promise<Awaited<T>> {
    return breakGlass(this.#calls, request, fn);
  }

  /**
   * A service on the same connections that acts as `who` by default and ignores the scopes around it. Make one per job or
   * message. You need not close it.
   *
   * @throws OnBehalfOfReferenceError when `who` is not exactly one reference.
   */
  actingAs(who: OnBehalfOfInput): MedplumService {
    return new MedplumService(this.#calls.connection, this.#calls.identity.actingAs(who));
  }

  /**
   * Ties `fn` to the scope around this call: its identity and the HTTP request it serves. Use it for callbacks that
   * emitters, pools and timers call from elsewhere.
   *
   * @throws OnBehalfOfRequiredError when there is no identity here.
   */
  bind<A extends readonly unknown[], R>(fn: (...args: A) => R): (...args: A) => R {
    return this.#calls.identity.bind(fn);
  }

  /**
   * Makes a token that hands the identity of this place over to another process: a job in a queue, a message, another
   * service of yours. Whoever carries the token can neither change nor prolong it, nor use it for another audience, but
   * holds the right to act once, or for one job, until it expires. Treat it as a credential, and never log it.
   *
   * The identity is the one that a call made here would use, also that of `defaultOnBehalfOf` and `actingAs()`. A token
   * made in a scope that a token opened expires no later than that one.
   *
   * @throws OnBehalfOfRequiredError without an identity, as the client itself, and under a scope that has ended;
   * DelegationError for wrong options; MedplumConfigError without the option `delegation` or a key that signs.
   * @example
   * ```ts
   * const token = await medplum.delegate({ audience: 'reports', expiresIn: 60_000 });
   * ```
   */
  delegate(options: DelegateOptions): Promise<string> {
    return this.#delegations.make(options);
  }

  /**
   * Verifies a token of {@link MedplumService.delegate}, asks the server whether its membership is still active, and
   * calls `fn` with its identity as the ambient one. The result of `fn` is treated as by
   * {@link MedplumService.onBehalfOf}. A refusal is logged and published as an event.
   *
   * A token without a job can be used once, by all services that share the option `store`. A token of a job serves every
   * attempt at that job.
   *
   * @throws DelegationError when the token is not accepted; OnBehalfOfRejectedError when its membership is not active any
   * more or fails the `membershipCheck`; MedplumConfigError without the option `delegation` or an audience. `fn` is not
   * called then.
   */
  runDelegated<T>(token: string, fn: () => T, options: RunDelegatedOptions = {}): Promise<Awaited<T>> {
    return this.#delegations.run(token, fn, options);
  }

  /** @internal The identity of a token, for a scope that is opened later. This use consumes the token. */
  acceptDelegation(token: unknown, options: RunDelegatedOptions): Promise<OnBehalfOfInput> {
    return this.#delegations.accept(token, options);
  }

  /** Creates a resource. The server assigns the id and ignores one in the resource. */
  createResource<T extends Resource>(
    resource: T & KnownElements<T>,
    options: MedplumRequestOptions = {},
  ): Promise<Stored<T>> {
    return this.#calls.body(INTERACTIONS.create, () => fhir.create(resource), options);
  }

  /**
   * Creates a resource, unless one matches `query`: then that one is returned. The server searches only what the identity
   * may see. A broken connection is retried only when the query is one identifier that the resource carries, because the
   * server can then recognise the repetition.
   *
   * @throws MedplumPreconditionFailedError when several resources match; UnknownEffectError when they match after an
   * attempt whose effect is unknown.
   */
  createResourceIfNoneExist<T extends Resource>(
    resource: T & KnownElements<T>,
    query: SearchQuery<T['resourceType']>,
    options: MedplumRequestOptions = {},
  ): Promise<Stored<T>> {
    return this.#calls.body(INTERACTIONS.create, () => fhir.createIfNoneExist(resource, query), options);
  }

  /**
   * Reads a resource by its id.
   *
   * @throws MedplumNotFoundError when it does not exist or the identity may not see it; MedplumGoneError when it was
   * deleted; MedplumForbiddenError when the identity may not read this resource type.
   */
  readResource<K extends ResourceType>(
    resourceType: K,
    id: string,
    options: MedplumRequestOptions = {},
  ): Promise<ResourceOf<K>> {
    return this.#calls.body(INTERACTIONS.read, () => fhir.read(resourceType, id), options);
  }

  /**
   * Reads the resource that a reference names, in its current version or in the one that the reference names
   * (`Patient/1/_history/2`). An absolute reference has to name the server of this client.
   *
   * @throws MedplumBadRequestError for references to other servers, logical references and contained resources (`#…`).
   */
  readReference<T extends Resource>(
    reference: Reference<T> | string,
    options: MedplumRequestOptions = {},
  ): Promise<WithId<T>> {
    const describe = () => versions.readReference(reference, this.#calls.connection.settings.baseUrl);
    return this.#calls.body(INTERACTIONS.read, describe, options);
  }

  /** Reads one version of a resource, by its `meta.versionId`. */
  readVersion<K extends ResourceType>(
    resourceType: K,
    id: string,
    versionId: string,
    options: MedplumRequestOptions = {},
  ): Promise<ResourceOf<K>> {
    return this.#calls.body(INTERACTIONS.vread, () => versions.readVersion(resourceType, id, versionId), options);
  }

  /** Reads the versions of a resource, newest first. A deletion is an entry without a resource. */
  readHistory<K extends ResourceType>(
    resourceType: K,
    id: string,
    options: MedplumHistoryOptions = {},
  ): Promise<Bundle<ResourceOf<K>>> {
    const describe = () => versions.readHistory(resourceType, id, options);
    return this.#calls.body(INTERACTIONS.history, describe, options, { further: ['count', 'offset'] });
  }

  /**
   * Replaces a resource.
   *
   * When its `meta` has no `accounts`, the request is not sent in extended mode: for an admin identity the server would
   * otherwise remove the accounts.
   *
   * @throws MedplumPreconditionFailedError when the resource has changed since you read it (see `ifMatch`).
   */
  updateResource<T extends Resource>(
    resource: T & KnownElements<T>,
    options: MedplumUpdateOptions = {},
  ): Promise<Stored<T>> {
    const describe = () => fhir.update(resource, options.ifMatch);
    return this.#calls.body(INTERACTIONS.update, describe, options, { further: ['ifMatch'] });
  }

  /**
   * Replaces the resource that matches `query`, or creates it when none does: FHIR's conditional update (R4 section
   * 3.1.0.4.3). Servers up to 5.0 ignore `If-Match` here.
   *
   * @throws MedplumPreconditionFailedError when several resources match; MedplumBadRequestError without a condition.
   */
  upsertResource<T extends Resource>(
    resource: T & KnownElements<T>,
    query: SearchQuery<T['resourceType']>,
    options: MedplumRequestOptions = {},
  ): Promise<Stored<T>> {
    const describe = () => conditional.conditionalUpdate(resource, query);
    return this.#calls.body(INTERACTIONS.conditionalUpdate, describe, options);
  }

  /**
   * Changes parts of a resource with a JSON Patch (RFC 6902). Servers up to 5.0 ignore `If-Match` here. To guard against
   * concurrent changes, use {@link MedplumService.updateResource}, or begin the patch with a `test` of `/meta/versionId`.
   * Never pass on a patch that an end user wrote: it can read values back.
   */
  patchResource<K extends ResourceType>(
    resourceType: K,
    id: string,
    operations: readonly PatchOperation[],
    options: MedplumRequestOptions = {},
  ): Promise<ResourceOf<K>> {
    return this.#calls.body(INTERACTIONS.patch, () => fhir.patch(resourceType, id, operations), options);
  }

  /**
   * Changes parts of the one resource that matches `query`.
   *
   * @throws MedplumNotFoundError when no resource matches; MedplumPreconditionFailedError when several match;
   * MedplumBadRequestError without a condition.
   */
  conditionalPatch<K extends ResourceType>(
    resourceType: K,
    query: SearchQuery<K>,
    operations: readonly PatchOperation[],
    options: MedplumRequestOptions = {},
  ): Promise<ResourceOf<K>> {
    const describe = () => conditional.conditionalPatch(resourceType, query, operations);
    return this.#calls.body(INTERACTIONS.conditionalPatch, describe, options);
  }

  /** Deletes a resource. Its history stays. */
  async deleteResource(resourceType: ResourceType, id: string, options: MedplumRequestOptions = {}): Promise<void> {
    await this.#calls.body(INTERACTIONS.delete, () => fhir.remove(resourceType, id), options);
  }

  /**
   * Deletes the one resource that matches `query`. Does nothing when none matches.
   *
   * @throws MedplumPreconditionFailedError when several resources match; MedplumBadRequestError without a condition.
   */
  async conditionalDelete<K extends ResourceType>(
    resourceType: K,
    query: SearchQuery<K>,
    options: MedplumRequestOptions = {},
  ): Promise<void> {
    const describe = () => conditional.conditionalDelete(resourceType, query);
    await this.#calls.body(INTERACTIONS.conditionalDelete, describe, options);
  }

  /** Searches, and returns the bundle as it is: one page (20 unless you set `_count`), with included resources. */
  search<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery<K>,
    options: MedplumSearchOptions = {},
  ): Promise<Bundle<ResourceOf<K>>> {
    return this.#search(resourceType, query, options);
  }

  /** Searches, and returns the first match; `undefined` when there is none. */
  async searchOne<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery<K>,
    options: MedplumSearchOptions = {},
  ): Promise<ResourceOf<K> | undefined> {
    const bundle = await this.#search<Bundle<ResourceOf<K>>>(resourceType, query, options, 1);
    return splitBundle<ResourceOf<K>>(bundle).matches[0];
  }

  /** Searches, and returns the matches of one page (20 unless you set `_count`). Included resources are only in `bundle`. */
  async searchResources<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery<K>,
    options: MedplumSearchOptions = {},
  ): Promise<ResourceArray<ResourceOf<K>>> {
    return resourceArray(await this.#search<Bundle<ResourceOf<K>>>(resourceType, query, options));
  }

  /**
   * Searches with `_include` or `_revinclude`, and returns one page, split into matches and included resources.
   *
   * @typeParam I types of the included resources, as the caller knows them.
   */
  async searchWithIncludes<K extends ResourceType, I extends Resource = Resource>(
    resourceType: K,
    query: SearchQuery<K>,
    options: MedplumSearchOptions = {},
  ): Promise<SearchResult<ResourceOf<K>, I>> {
    const bundle = await this.#search<Bundle<ResourceOf<K>>>(resourceType, query, options);
    const { total } = bundle;
    return { ...splitBundle<ResourceOf<K>, I>(bundle), ...(total === undefined ? {} : { total }), bundle };
  }

  /**
   * Iterates over the pages of a search and requests each one when you pull it. All pages use the identity of the moment
   * when you call this method, wherever you consume them. Without `_count` a page has 1,000 resources. Medplum ends pages
   * by offset after 10,000 resources; `_sort: '_lastUpdated'` goes beyond that.
   *
   * The iteration rejects with MedplumProtocolError when a link leads to another server, to another search or back to a
   * page that was read before, and after `maxPages` pages.
   */
  searchResourcePages<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery<K>,
    options: MedplumPageOptions = {},
  ): AsyncIterableIterator<ResourceArray<ResourceOf<K>>> {
    const call = this.#calls.begin(options, { further: [...SEARCH_OPTIONS, 'maxPages'] });
    return iterated(
      pagesOf<ResourceOf<K>>(call, this.#calls.connection.settings.baseUrl, resourceType, query, options),
      (bundle) => [resourceArray(bundle)],
    );
  }

  /**
   * Iterates over the matches of a search and requests the next page when you need it. Everything else is as in
   * {@link MedplumService.searchResourcePages}.
   *
   * @example
   * ```ts
   * for await (const patient of medplum.iterateResources('Patient', { active: true }, { maxResources: 500 })) …
   * ```
   */
  iterateResources<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery<K>,
    options: MedplumIterateOptions = {},
  ): AsyncIterableIterator<ResourceOf<K>> {
    const call = this.#calls.begin(options, { further: [...SEARCH_OPTIONS, 'maxPages', 'maxResources'] });
    return iterated(
      pagesOf<ResourceOf<K>>(call, this.#calls.connection.settings.baseUrl, resourceType, query, options),
      (bundle) => splitBundle<ResourceOf<K>>(bundle).matches,
      options.maxResources,
    );
  }

  /**
   * Searches several resource types at once (one page). The identity must have access to every type.
   *
   * @throws MedplumForbiddenError when it lacks access to one of them.
   */
  searchTypes<K extends ResourceType>(
    resourceTypes: readonly K[],
    query?: SearchQuery<K>,
    options: MedplumRequestOptions = {},
  ): Promise<Bundle<ResourceOf<K>>> {
    return this.#calls.body(INTERACTIONS.searchTypes, () => searchTypes(resourceTypes, query), options);
  }

  /**
   * Sends a bundle of type `batch` or `transaction`. All entries act as the same identity. Check the status of each entry
   * (`entryResults()`): a batch responds with 200 even when entries failed. So does a transaction in a project without the
   * feature `transaction-bundles`, where it is not atomic.
   *
   * @throws MedplumBadRequestError for an empty bundle, for a bundle of another type, and for `Prefer: respond-async`
   * together with an identity (the server would run the bundle as the client).
   */
  executeBatch(bundle: Bundle, options: MedplumRequestOptions = {}): Promise<Bundle> {
    return this.#calls.body(INTERACTIONS.batch, () => fhir.batch(bundle), options);
  }

  /**
   * Sends a transaction: either all of its entries take effect, or the call fails. Create the entries with `bundleEntry`.
   *
   * @throws MedplumTransactionError when some entries failed and others took effect, because the project lacks the
   * feature `transaction-bundles`; MedplumRateLimitError when the quota is used up and nothing was written; otherwise the
   * error of the entry that failed.
   */
  executeTransaction(
    entries: readonly BundleEntry[] | Bundle,
    options: MedplumTransactionOptions = {},
  ): Promise<Bundle> {
    const interaction = { ...INTERACTIONS.batch, action: 'transaction' } as const;
    const provenance = provenanceOf(this.#calls, options);
    return this.#calls.body(interaction, () => transaction(entries, provenance), options, { further: ['provenance'] });
  }

  /**
   * Runs a GraphQL document, and returns its `data`.
   *
   * @typeParam T the data that the document selects.
   * @throws MedplumGraphqlError when the response has errors, for instance for a field that the identity may not see.
   * `partialData` has what was readable. MedplumRateLimitError when a field failed because the quota is used up.
   */
  async graphql<T = unknown>(query: string, options: MedplumGraphqlOptions = {}): Promise<T> {
    const describe = () => graphql(query, options.operationName, options.variables);
    const further = ['variables', 'operationName'];
    const { data } = await this.#calls.body<{ readonly data: T }>(GRAPHQL, describe, options, { further });
    return data;
  }

  /**
   * Runs a bot. Text and bytes are sent as they are (`contentType`, default `text/plain`), everything else as JSON. A JSON
   * response is parsed, any other is text, and an empty one is `undefined`. Medplum does not quote a string that a bot
   * returns, so a string that is itself JSON (`'123'`) is parsed too. The call is never retried once it may have reached
   * the server.
   *
   * A bot runs with its own rights, unless it is configured to run as the user.
   *
   * @param bot id of the Bot, or one of its identifiers.
   * @throws MedplumBadRequestError when the bot threw. `effect` is `unknown`: what the bot wrote before stays.
   */
  executeBot<T = unknown>(bot: string | Identifier, input?: unknown, options: MedplumBotOptions = {}): Promise<T> {
    const describe = () => executeBot(bot, input, options.contentType);
    return this.#calls.body(EXECUTE_BOT, describe, options, { further: ['contentType'] });
  }

  /**
   * Sends a GET to a path that has no method of its own. It acts as the identity like every other call. A JSON response is
   * parsed, any other is text, and an empty one is `undefined`.
   *
   * @param path below the base URL: `fhir/R4/Patient/123`. Paths of tokens and logins are refused.
   * @throws MedplumBadRequestError for an address outside the base URL.
   */
  get<T = unknown>(path: string, options: MedplumRequestOptions = {}): Promise<T> {
    return this.#raw('GET', path, undefined, options);
  }

  /** Sends a POST. Text and bytes are sent as they are: name their type in `headers`. Else like {@link MedplumService.get}. */
  post<T = unknown>(path: string, body?: unknown, options: MedplumRequestOptions = {}): Promise<T> {
    return this.#raw('POST', path, body, options);
  }

  /** Sends a PUT. Text and bytes are sent as they are: name their type in `headers`. Else like {@link MedplumService.get}. */
  put<T = unknown>(path: string, body: unknown, options: MedplumRequestOptions = {}): Promise<T> {
    return this.#raw('PUT', path, body, options);
  }

  /** Sends a PATCH with a JSON Patch. Else like {@link MedplumService.get}. */
  patch<T = unknown>(path: string, body: unknown, options: MedplumRequestOptions = {}): Promise<T> {
    return this.#raw('PATCH', path, body, options);
  }

  /** Sends a DELETE. Else like {@link MedplumService.get}. */
  delete<T = unknown>(path: string, options: MedplumRequestOptions = {}): Promise<T> {
    return this.#raw('DELETE', path, undefined, options);
  }

  /**
   * The standard `fetch` for addresses below the base URL. It adds the client's credentials, the identity of the moment
   * when you call it, retries of what is safe, and an audit event. You may pass the function on:
   * `new MedplumClient({ fetch: medplum.fetch, … })`.
   *
   * An error status resolves to a `Response`, as the standard says. Calls without a response (refused, timed out, broken)
   * reject with a `MedplumError`. A caller's `X-Medplum` is replaced. Refused before anything is sent: other headers that
   * the library owns, other servers, paths of tokens and logins, and batches of nothing but GETs, in which a client mixes
   * its callers.
   */
  readonly fetch = (input: string | URL, init: MedplumFetchInit = {}): Promise<Response> => {
    const { headers, signal, ...rest } = init;
    const given = headers === undefined ? undefined : fetchHeaders(headers);
    const options = { ...rest, ...(given ? { headers: given } : {}), ...(signal ? { signal } : {}) };
    const call = this.#calls.begin(options, { further: IGNORED_FETCH_OPTIONS });
    const interaction = rawInteraction('GET');
    return call
      .send(interaction, () => fetchRequest(input, init.method, init.body, this.#calls.connection.settings.baseUrl))
      .then(fetchResponse, fetchErrorResponse);
  };

  /**
   * Options for a `MedplumClient` of `@medplum/core` that users can safely share: this `fetch`, no cache, no automatic
   * batches, and no storage outside the client. Do not log it in, and do not turn any of these back on.
   */
  coreClientOptions(): CoreClientOptions {
    const { origin, path } = this.#calls.connection.settings.baseUrl;
    return {
      baseUrl: origin + path,
      fetch: this.fetch,
      cacheTime: 0,
      autoBatchTime: 0,
      maxRetryTime: 0,
      storage: new MemoryStorage(),
    };
  }

  #search<T>(type: string, query: unknown, options: MedplumSearchOptions, count?: number): Promise<T> {
    const describe = () => search(type, query, count, options.post);
    return this.#calls.body(INTERACTIONS.search, describe, options, { further: SEARCH_OPTIONS });
  }

  #raw<T>(method: RawMethod, path: string, body: unknown, options: MedplumRequestOptions): Promise<T> {
    const describe = () => raw(method, path, body, this.#calls.connection.settings.baseUrl);
    return this.#calls.body(rawInteraction(method), describe, options);
  }
}
