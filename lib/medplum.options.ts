import type { ExecutionContext } from '@nestjs/common';
import type { MedplumAuditContextResolver } from './audit/audit-context';
import type { MedplumAuditOptions } from './audit/audit-sink';
import type { MedplumBeforeRequest } from './calls/before-request';
import type { ClientSecret } from './http/credentials';
import type { MedplumDispatcher } from './http/medplum-dispatcher';
import type { MedplumPoolOptions } from './http/pool';
import type { MedplumRetryOptions } from './http/retry.options';
import type { MembershipCheckOptions } from './calls/membership-check';
import type { OnBehalfOfInput } from './on-behalf-of/on-behalf-of.reference';
import type { OnBehalfOfSource } from './on-behalf-of/on-behalf-of.source';

/** Options of one client. All problems of a set of options are reported in one error at start-up. */
export interface MedplumModuleOptions {
  /**
   * Address of the Medplum server. Default `https://api.medplum.com/`. It may carry a path (`/projects/<id>/`). Plain
   * `http:` is accepted for loopback only, unless `allowInsecureHttp` is set.
   */
  readonly baseUrl?: string;
  /**
   * Address that the server writes into its answers (its own `baseUrl` setting), when the app reaches it under another
   * one, behind a proxy or in a container network: links to next pages and jobs then lead to `baseUrl`. Nothing is ever
   * sent to it. Default: `baseUrl`.
   */
  readonly publicUrl?: string;
  /** Id of the ClientApplication, whose membership is a project admin. */
  readonly clientId: string;
  /** Its secret, or a function that gives it; the function is asked again when the server refuses the last answer. */
  readonly clientSecret: ClientSecret;
  /**
   * How the client authenticates. Default `basic`, which Medplum recommends for on-behalf-of;
   * `client-credentials` gets an access token first (RFC 6749 section 4.4).
   */
  readonly auth?: 'basic' | 'client-credentials';
  /**
   * Default `true`: a call that names nobody is refused. `false` sends it as the client, a project admin, and says so
   * once in the log.
   */
  readonly requireOnBehalfOf?: boolean;
  /** Default `true`: `{ onBehalfOf: '' }` makes one call as the client. `false`: only `asClientApplication()` does. */
  readonly allowEmptyClear?: boolean;
  /** For a client that exists to act as one membership. Used where neither the call nor a scope names anybody. */
  readonly defaultOnBehalfOf?: OnBehalfOfInput;
  /** What a bare `@OnBehalfOf()` uses. */
  readonly resolveOnBehalfOf?: OnBehalfOfSource;
  /** Whether somebody is logged in: a source that names nobody answers 403 then, else 401. Default: `request.user` is there. */
  readonly isAuthenticated?: (context: ExecutionContext) => boolean;
  /** Sends `X-Medplum: extended`, which shows `meta.author`, `project` and `compartment`. Default `true`. */
  readonly extended?: boolean;
  /**
   * Sees each request before it is sent, and may change its body, its path below the base URL and its further headers; it
   * sees neither credentials nor identity. Not called for retries, tokens and signed addresses. Default: none.
   */
  readonly beforeRequest?: MedplumBeforeRequest;
  /**
   * Ends reads and searches with `MedplumAbortError` when the client of the HTTP request, whose decorated handler makes
   * them, goes away. Writes are finished, and audited as ever. Default `false`: a handler may have more to do.
   */
  readonly abortOnDisconnect?: boolean;
  /**
   * Asks for compressed answers (`Accept-Encoding: gzip, br`), but to downloads. Default `false`: on a fast network,
   * unpacking takes longer than the bytes that it saves.
   */
  readonly compression?: boolean;
  /**
   * Medplum writes it into its log lines of the client's requests (`X-Medplum-Log-Tag`): 1 to 128 characters of ASCII,
   * and nothing of a record. A call may send another in `headers`. Default: none.
   */
  readonly logTag?: string;
  /** For a whole call, retries and waiting included, in ms. Default 30,000. */
  readonly timeout?: number;
  /** For opening a connection, in ms. Default 5,000. */
  readonly connectTimeout?: number;
  /**
   * Most bytes of one answer, unpacked, that is read as a whole; longer ones end with `MedplumContentTooLargeError`.
   * Default 67,108,864 (64 MiB). Downloads have the `maxBytes` of their own.
   */
  readonly maxResponseBytes?: number;
  /**
   * For the begin of the answer to one attempt, in ms, as undici measures it (within a second or so). Default: none but
   * `timeout`. Such an attempt is repeated where that is safe; else, or in the end, it is a `MedplumTimeoutError`.
   */
  readonly headersTimeout?: number;
  /** For the wait between two pieces of a body, in ms, likewise. Default: none but `timeout`. */
  readonly bodyTimeout?: number;
  /** How long calls in flight may take to finish when the app shuts down, in ms; then they are aborted. Default 10,000. */
  readonly shutdownTimeout?: number;
  /** How often and how patiently calls are repeated. */
  readonly retry?: MedplumRetryOptions;
  /** Size of the pool that the library opens and closes. */
  readonly pool?: MedplumPoolOptions;
  /**
   * An undici dispatcher to use instead of a pool; it is never closed. It must neither follow redirects nor retry nor
   * cache. Excludes `pool`, `connectTimeout`, `headersTimeout` and `bodyTimeout`.
   */
  readonly dispatcher?: MedplumDispatcher;
  /** Where the records of calls are kept, and whether a call may do without them. */
  readonly audit?: MedplumAuditOptions;
  /** Says, for the audit trail, who the end user of a call is and why the data is used. */
  readonly auditContext?: MedplumAuditContextResolver;
  /**
   * Reads the membership of each identity before it is acted for, as the client itself, and refuses inactive ones, which
   * Medplum accepts, the client's own, project admins, and profiles that several memberships have. Answers are kept for a
   * minute. Default `false`; recommended.
   */
  readonly membershipCheck?: boolean | MembershipCheckOptions;
  /**
   * Origins to which signed addresses of files may lead besides the server's own, e.g. `https://storage.example.com`. They
   * are fetched without credentials. Default: `https://storage.medplum.com` for Medplum's own server, else none.
   */
  readonly storageOrigins?: readonly string[];
  /** Accepts an `http:` baseUrl outside loopback. Default `false`: Basic credentials would travel in clear. */
  readonly allowInsecureHttp?: boolean;
}

/** Makes options, for `forRootAsync({ useClass })` and `useExisting`. */
export interface MedplumOptionsFactory {
  /** The options of the client; called once, at start-up. */
  createMedplumOptions(): Promise<MedplumModuleOptions> | MedplumModuleOptions;
}
