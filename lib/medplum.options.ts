import type { ExecutionContext } from '@nestjs/common';
import type { MedplumAuditContextResolver } from './audit/audit-context';
import type { MedplumAuditOptions } from './audit/audit-sink';
import type { MedplumBeforeRequest } from './calls/before-request';
import type { MedplumBreakGlassOptions } from './calls/break-glass.options';
import type { MembershipCheckOptions } from './calls/membership-check';
import type { ClientSecret } from './http/credentials';
import type { MedplumDispatcher } from './http/medplum-dispatcher';
import type { MedplumPoolOptions } from './http/pool';
import type { MedplumQuotaOptions } from './http/quota.options';
import type { MedplumRetryOptions } from './http/retry.options';
import type { OnBehalfOfInput } from './on-behalf-of/on-behalf-of.reference';
import type { OnBehalfOfSource } from './on-behalf-of/on-behalf-of.source';
import type { MedplumDelegationOptions } from './delegation/delegation.options';
import type { MedplumStore } from './shared/medplum-store';

/** Options of one client. If any are wrong, start-up fails with one error that lists all problems. */
export interface MedplumModuleOptions {
  /**
   * Address of the Medplum server, without `fhir/R4`. It may have a path (`/projects/<id>/`). Plain `http:` is accepted
   * for loopback only, unless you set `allowInsecureHttp`. Default `https://api.medplum.com/`.
   */
  readonly baseUrl?: string | undefined;
  /**
   * Address that the server writes into its responses (its own `baseUrl` setting), if the app reaches it under another one:
   * behind a proxy, or in a container network. Links to next pages and to jobs are then followed on `baseUrl`, and files with
   * a signed address are fetched there. Nothing is ever sent to `publicUrl` itself. Default: `baseUrl`.
   */
  readonly publicUrl?: string | undefined;
  /** Id of the ClientApplication. Its membership must be a project admin. Required. */
  readonly clientId: string;
  /**
   * Secret of the ClientApplication, or a function that returns it. The function is called again when the server refuses
   * the secret that it returned last. Required.
   */
  readonly clientSecret: ClientSecret;
  /**
   * How the client authenticates. `basic` sends id and secret with each request; Medplum recommends it for on-behalf-of.
   * `client-credentials` gets an access token first (RFC 6749 section 4.4). Default `basic`.
   */
  readonly auth?: 'basic' | 'client-credentials' | undefined;
  /**
   * Refuses calls without an identity. `false` sends them as the client, a project admin, and logs one warning. Default
   * `true`.
   */
  readonly requireOnBehalfOf?: boolean | undefined;
  /**
   * Lets `{ onBehalfOf: '' }` make one call as the client itself. With `false`, only `asClientApplication()` does that.
   * Default `true`.
   */
  readonly allowEmptyClear?: boolean | undefined;
  /**
   * Identity of calls that have none of their own and run in no scope, for a client that always acts as one membership.
   * Default: none.
   */
  readonly defaultOnBehalfOf?: OnBehalfOfInput;
  /**
   * What becomes of a call made under a user's scope that has ended: its function has settled and, for a handler, the
   * HTTP response is closed. AsyncLocalStorage is sticky, so work that outlives a scope, such as a connection first opened
   * inside it, would act as that user. Default `refuse`: `OnBehalfOfRequiredError`, nothing is sent. `warn` logs once a
   * minute, `allow` says nothing. Its events say `afterScope`. Scopes with the client's own rights always refuse.
   */
  readonly lateCalls?: 'refuse' | 'warn' | 'allow' | undefined;
  /** Where `@OnBehalfOf()` without arguments gets the identity from. Default: none, so each decorator must name a source. */
  readonly resolveOnBehalfOf?: OnBehalfOfSource | undefined;
  /**
   * Whether a user is logged in. If a source finds no identity, the app responds with 403 to a user who is logged in, and
   * with 401 to anyone else. Default: whether `request.user` is set.
   */
  readonly isAuthenticated?: ((context: ExecutionContext) => boolean) | undefined;
  /**
   * How often a decorated handler that goes on for long asks its source for the identity again, in ms: server-sent events,
   * GraphQL subscriptions, streams of WebSocket and microservice handlers, and the WebSocket itself. It ends as soon as the
   * source fails, returns nobody or somebody else, or the membership check refuses the identity. Default 300,000.
   */
  readonly reauthorizeEvery?: number | undefined;
  /** Sends `X-Medplum: extended`, so that resources show `meta.author`, `project` and `compartment`. Default `true`. */
  readonly extended?: boolean | undefined;
  /**
   * Runs just before a request is sent, and may change its body, its path below the base URL and its headers. It sees
   * neither the credentials nor the identity. It does not run for retries, token requests and signed addresses. Default:
   * none.
   */
  readonly beforeRequest?: MedplumBeforeRequest | undefined;
  /**
   * Aborts the reads and searches of a decorated handler, with `MedplumAbortError`, when the client of its HTTP request
   * hangs up. Writes are finished and recorded all the same. Default `false`, because a handler may have more to do.
   */
  readonly abortOnDisconnect?: boolean | undefined;
  /**
   * Requests compressed responses (`Accept-Encoding: gzip, br`), except for downloads. Default `false`: on a fast network,
   * unpacking takes longer than the saved bytes.
   */
  readonly compression?: boolean | undefined;
  /**
   * Sends reads and searches that are made in the same tick, by the same identity and for the same purpose, as one FHIR
   * batch of at most 20. Each keeps its own result, error, retries, time limit and event. A read that is alone in its tick
   * is sent as it is. Calls can choose for themselves with their own `batchReads`. Default `false`.
   */
  readonly batchReads?: boolean | undefined;
  /**
   * Text that Medplum writes into its log lines for the requests of this client (`X-Medplum-Log-Tag`): 1 to 128 characters
   * of printable ASCII. Put nothing of a record in it. A call can send another one in its `headers`. Default: none.
   */
  readonly logTag?: string | undefined;
  /**
   * Adds the texts of the server's OperationOutcome to the log lines about what the server refused: the name of the
   * misspelt parameter, for instance. The texts may quote stored values (PHI), so start-up fails if this is `true` and
   * `NODE_ENV` is `production`. Use it during development. Default `false`.
   */
  readonly debugErrors?: boolean | undefined;
  /** Time limit of a whole call, with its retries and waits, in ms. Default 30,000. */
  readonly timeout?: number | undefined;
  /** Time limit for opening a connection, in ms. Default 5,000. */
  readonly connectTimeout?: number | undefined;
  /**
   * Longest response that is read as a whole, in bytes after unpacking. A longer one is a `MedplumContentTooLargeError`.
   * Downloads have a `maxBytes` of their own. Default 67,108,864 (64 MiB).
   */
  readonly maxResponseBytes?: number | undefined;
  /**
   * Time limit for receiving the response headers of one attempt, in ms. undici checks it about once a second. The
   * request is then retried if that is safe; otherwise the call fails with `MedplumTimeoutError`. Default: only `timeout`
   * applies.
   */
  readonly headersTimeout?: number | undefined;
  /**
   * Time limit for the wait between two pieces of a response body, in ms. It works like `headersTimeout`. Default: only
   * `timeout` applies.
   */
  readonly bodyTimeout?: number | undefined;
  /** How long shutdown waits for running calls, in ms; then it aborts them. Default 10,000. */
  readonly shutdownTimeout?: number | undefined;
  /** How often calls are retried, and how long they wait in between. Default: see {@link MedplumRetryOptions}. */
  readonly retry?: MedplumRetryOptions | undefined;
  /** Size of the connection pool, which the library opens and closes. Default: see {@link MedplumPoolOptions}. */
  readonly pool?: MedplumPoolOptions | undefined;
  /**
   * An undici dispatcher to use instead of a pool. You close it. It must not follow redirects, retry or cache. You cannot
   * combine it with `pool`, `connectTimeout`, `headersTimeout` and `bodyTimeout`. Default: a pool of the library's own.
   */
  readonly dispatcher?: MedplumDispatcher | undefined;
  /** Where the events of calls are kept, and whether a call may go on when they are not. Default: nowhere, and it may. */
  readonly audit?: MedplumAuditOptions | undefined;
  /** Tells the audit trail who the end user of a call is, and why the data is used. Default: none. */
  readonly auditContext?: MedplumAuditContextResolver | undefined;
  /**
   * Reads the membership of each identity, as the client itself, before a call acts as it. Refuses memberships that are
   * inactive or have no access policy (Medplum accepts both, and lets the latter do everything), project admins, the client's
   * own membership, and profiles that have several memberships. The result is kept for 60,000 ms. Default `false`; `true`
   * is recommended.
   */
  readonly membershipCheck?: boolean | MembershipCheckOptions | undefined;
  /**
   * Origins besides the server's own from which signed addresses of files may be fetched, e.g.
   * `https://storage.example.com`. They get no credentials. Default: `https://storage.medplum.com` if `baseUrl` is on
   * Medplum's own server, else none.
   */
  readonly storageOrigins?: readonly string[] | undefined;
  /** Emergency access: which membership it uses, and who is told. Default: `breakGlass()` is refused. */
  readonly breakGlass?: MedplumBreakGlassOptions | undefined;
  /**
   * Where the instances of the app remember which delegations and which webhooks they have seen. Give it a store that they
   * all share as soon as the app runs as more than one process. Default: a {@link MemoryStore} of this client.
   */
  readonly store?: MedplumStore | undefined;
  /**
   * How this service makes tokens with which queues, brokers and other processes carry an identity, and how it accepts
   * them. Default: none, and then `delegate()` and `runDelegated()` throw.
   */
  readonly delegation?: MedplumDelegationOptions | undefined;
  /**
   * Shares the client's quota fairly between its users: limits how many requests run at a time, lets identities take turns,
   * and slows down before the server refuses anything. `true` takes the defaults of {@link MedplumQuotaOptions}. Default
   * `false`: every request is sent at once.
   */
  readonly quota?: boolean | MedplumQuotaOptions | undefined;
  /** Accepts a `baseUrl` with `http:` outside loopback. The client secret then travels in clear text. Default `false`. */
  readonly allowInsecureHttp?: boolean | undefined;
}

/** A class that makes the options, for `useClass` and `useExisting` of `forRootAsync`. */
export interface MedplumOptionsFactory {
  /** Returns the options of the client. Called once, at start-up. */
  createMedplumOptions(): Promise<MedplumModuleOptions> | MedplumModuleOptions;
}

/**
 * Makes the compiler refuse options that do not exist, where `O` is inferred from what a factory returns: for a return value,
 * TypeScript does not look for unknown keys by itself.
 */
export type KnownOptions<O extends MedplumModuleOptions> = {
  readonly [P in keyof O]: P extends keyof MedplumModuleOptions
    ? P extends 'audit' | 'breakGlass' | 'delegation' | 'membershipCheck' | 'pool' | 'quota' | 'retry'
      ? KnownKeys<NonNullable<O[P]>, Extract<NonNullable<MedplumModuleOptions[P]>, object>> | undefined
      : unknown
    : `MedplumModuleOptions has no option ${P & string}`;
};

type KnownKeys<T, Options> = T extends object
  ? { readonly [P in keyof T]: P extends keyof Options ? unknown : `There is no option ${P & string} here` }
  : unknown;
