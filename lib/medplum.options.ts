import type { ExecutionContext } from '@nestjs/common';
import type { MedplumAuditContextResolver } from './audit/audit-context';
import type { MedplumAuditOptions, MedplumAuditSink } from './audit/audit-sink';
import type { MedplumBeforeRequest } from './before-request';
import { MedplumConfigError } from './errors/medplum-config.error';
import { isMedplumError } from './errors/medplum.error';
import { shownName } from './errors/shown';
import { type BaseUrl, parseBaseUrl } from './http/base-url';
import { isLogTag } from './http/caller-headers';
import type { ClientSecret } from './http/client-secret';
import type { MedplumDispatcher } from './http/medplum-dispatcher';
import { isMilliseconds } from './http/milliseconds';
import { type MedplumRetryOptions, RETRY_DEFAULTS } from './http/retry.options';
import type { MembershipCheckOptions } from './membership-check';
import { type OnBehalfOfInput, type OnBehalfOfReference, parseOnBehalfOf } from './on-behalf-of/on-behalf-of.reference';
import { type OnBehalfOfSource, requestOf } from './on-behalf-of/on-behalf-of.source';

/** Size of the connection pool of one client. */
export interface MedplumPoolOptions {
  /** Most connections that are open at once; further requests wait. Default 64. */
  readonly connections?: number;
  /** How long an idle connection is kept, in ms. Default 10,000. The server's own `Keep-Alive` hint wins. */
  readonly keepAliveTimeout?: number;
}

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

/** @internal Options after validation, with their defaults. */
export interface ResolvedMedplumOptions {
  readonly baseUrl: BaseUrl;
  readonly clientId: string;
  readonly clientSecret: ClientSecret;
  readonly auth: 'basic' | 'client-credentials';
  readonly requireOnBehalfOf: boolean;
  readonly allowEmptyClear: boolean;
  readonly defaultOnBehalfOf: OnBehalfOfReference | undefined;
  readonly resolveOnBehalfOf: OnBehalfOfSource | undefined;
  readonly isAuthenticated: (context: ExecutionContext) => boolean;
  readonly extended: boolean;
  readonly beforeRequest: MedplumBeforeRequest | undefined;
  readonly abortOnDisconnect: boolean;
  readonly compression: boolean;
  readonly logTag: string | undefined;
  readonly timeout: number;
  readonly connectTimeout: number;
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
  readonly shutdownTimeout: number;
  readonly maxResponseBytes: number;
  readonly retry: Required<MedplumRetryOptions>;
  readonly pool: Required<MedplumPoolOptions>;
  readonly dispatcher: MedplumDispatcher | undefined;
  readonly membershipCheck: Required<MembershipCheckOptions> | undefined;
  readonly storageOrigins: readonly string[];
  readonly audit: MedplumAuditOptions;
  readonly auditContext: MedplumAuditContextResolver | undefined;
}

type Check = (value: unknown) => string | undefined;

const is =
  (expected: string, test: (value: unknown) => boolean): Check =>
  (value) =>
    test(value) ? undefined : `must be ${expected}`;

const isText = (value: unknown): boolean => typeof value === 'string' && value.trim() !== '';
const isCount = (least: number) => (value: unknown) => Number.isSafeInteger(value) && (value as number) >= least;
/** `https:`, or `http:` on loopback, with nothing behind the host: what `URL.origin` gives. */
const areOrigins = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.every((origin) => {
    const base = typeof origin === 'string' ? parseBaseUrl(origin, false) : { problem: '' };
    return !('problem' in base) && base.origin === origin;
  });
const isAddress: Check = (value) => {
  // Nothing is sent there, in clear or otherwise.
  const url = isText(value) ? parseBaseUrl(value as string, true) : { problem: 'must be an absolute URL' };
  return 'problem' in url ? url.problem : undefined;
};
const isFunction = (value: unknown): boolean => typeof value === 'function';

const aBoolean = is('a boolean', (value) => typeof value === 'boolean');
const ms = is('a number of milliseconds between 1 and 2147483647', isMilliseconds);

const RETRY_CHECKS: Readonly<Record<keyof MedplumRetryOptions, Check>> = {
  maxRetries: is('a whole number, 0 or more', isCount(0)),
  minTimeout: ms,
  maxTimeout: ms,
  budget: is('a number, 0 or more', (value) => typeof value === 'number' && value >= 0),
};

const POOL_CHECKS: Readonly<Record<keyof MedplumPoolOptions, Check>> = {
  connections: is('a whole number, 1 or more', isCount(1)),
  keepAliveTimeout: ms,
};

const MEMBERSHIP_CHECKS: Readonly<Record<keyof MembershipCheckOptions, Check>> = {
  allowAdminIdentity: aBoolean,
  requirePolicy: aBoolean,
  ttl: is('a number of milliseconds between 1 and 300000', (value) => isMilliseconds(value) && value <= 300_000),
  maxEntries: is('a whole number, 1 or more', isCount(1)),
};

const isSink = (value: unknown): boolean => isFunction((value as Partial<MedplumAuditSink> | null)?.write);
const count = is('a whole number, 1 or more', isCount(1));

const AUDIT_CHECKS: Readonly<Record<keyof MedplumAuditOptions, Check>> = {
  mode: is("'observe' or 'require'", (value) => value === 'observe' || value === 'require'),
  sinks: is('a list of sinks, which have a method write', (value) => Array.isArray(value) && value.every(isSink)),
  onFull: is("'drop' or a sink", (value) => value === 'drop' || isSink(value)),
  maxQueued: count,
  batchSize: count,
  writeTimeout: ms,
  flushTimeout: ms,
};

const CHECKS: Readonly<Record<keyof MedplumModuleOptions, Check>> = {
  baseUrl: is('text', isText),
  publicUrl: isAddress,
  clientId: is(
    'the id of a ClientApplication (text without a colon or blanks)',
    (value) => isText(value) && !/[:\s]/.test(value as string),
  ),
  clientSecret: is('text or a function', (value) => isText(value) || isFunction(value)),
  auth: is("'basic' or 'client-credentials'", (value) => value === 'basic' || value === 'client-credentials'),
  requireOnBehalfOf: aBoolean,
  allowEmptyClear: aBoolean,
  defaultOnBehalfOf: () => undefined,
  resolveOnBehalfOf: is('a reference, a function or a resolver class', (value) => isText(value) || isFunction(value)),
  isAuthenticated: is('a function', isFunction),
  extended: aBoolean,
  beforeRequest: is('a function', isFunction),
  abortOnDisconnect: aBoolean,
  compression: aBoolean,
  logTag: is('1 to 128 characters of printable ASCII', isLogTag),
  timeout: ms,
  connectTimeout: ms,
  headersTimeout: ms,
  bodyTimeout: ms,
  shutdownTimeout: ms,
  maxResponseBytes: is('a whole number of bytes, 1 or more', isCount(1)),
  retry: (value) => nested(value, RETRY_CHECKS),
  pool: (value) => nested(value, POOL_CHECKS),
  dispatcher: is('an undici Dispatcher', (value) => isFunction((value as Partial<MedplumDispatcher> | null)?.request)),
  audit: (value) => nested(value, AUDIT_CHECKS),
  auditContext: is('a function', isFunction),
  membershipCheck: (value) => (typeof value === 'boolean' ? undefined : nested(value, MEMBERSHIP_CHECKS)),
  storageOrigins: is('a list of origins such as https://storage.example.com', areOrigins),
  allowInsecureHttp: aBoolean,
};

/** The problems of one set of keys, each with the name of its key; `undefined` values count as absent. */
function* problemsOf(values: object, checks: Readonly<Record<string, Check>>): Iterable<string> {
  for (const [key, value] of Object.entries(values)) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
    const problem = check
      ? value !== undefined && check(value)
      : `is not an option (known: ${Object.keys(checks).join(', ')})`;
    if (problem) {
      yield `${shownName(key)} ${problem}`;
    }
  }
}

function nested(value: unknown, checks: Readonly<Record<string, Check>>): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'must be an object';
  }
  const problems = [...problemsOf(value, checks)];
  return problems.length > 0 ? `is wrong: ${problems.join('; ')}` : undefined;
}

function membershipCheckOf(
  given: MedplumModuleOptions['membershipCheck'],
): Required<MembershipCheckOptions> | undefined {
  const defaults = { allowAdminIdentity: false, requirePolicy: false, ttl: 60_000, maxEntries: 1_000 };
  return given ? Object.freeze({ ...defaults, ...defined(given === true ? {} : given) }) : undefined;
}

function publicUrlOf({ publicUrl }: Partial<MedplumModuleOptions>): Pick<BaseUrl, 'publicUrl'> {
  const url = publicUrl === undefined ? { problem: '' } : parseBaseUrl(publicUrl, true);
  return 'problem' in url ? {} : { publicUrl: Object.freeze(url) };
}

function storageOf({ origin }: BaseUrl): string[] {
  return origin === 'https://api.medplum.com' ? ['https://storage.medplum.com'] : [];
}

function loggedIn(context: ExecutionContext): boolean {
  return (requestOf(context)?.user ?? null) !== null;
}

function defined<T extends object>(values: T | undefined): T {
  return Object.fromEntries(Object.entries(values ?? {}).filter(([, value]) => value !== undefined)) as T;
}

/**
 * @internal
 * @throws MedplumConfigError with every problem of the options at once, never with a value.
 */
export function resolveOptions(given: MedplumModuleOptions, client: string): ResolvedMedplumOptions {
  const options: Partial<MedplumModuleOptions> = typeof given === 'object' && given !== null ? given : {};
  const problems = [...problemsOf(options, CHECKS)];
  for (const key of ['clientId', 'clientSecret'] as const) {
    if (options[key] === undefined) {
      problems.push(`${key} is missing`);
    }
  }
  if (options.dispatcher && (options.pool ?? options.connectTimeout) !== undefined) {
    problems.push('dispatcher excludes pool and connectTimeout: set those on the dispatcher');
  }
  if (options.dispatcher && (options.headersTimeout ?? options.bodyTimeout) !== undefined) {
    problems.push('dispatcher excludes headersTimeout and bodyTimeout: set those on the dispatcher');
  }
  const address = options.baseUrl ?? 'https://api.medplum.com/';
  const baseUrl = isText(address) ? parseBaseUrl(address, options.allowInsecureHttp === true) : { problem: '' };
  if ('problem' in baseUrl && baseUrl.problem) {
    problems.push(`baseUrl ${baseUrl.problem}`);
  }
  const clientId = String(options.clientId);
  const defaultOnBehalfOf = parseDefault(options, clientId, problems);
  if (problems.length > 0 || 'problem' in baseUrl || options.clientSecret === undefined) {
    throw new MedplumConfigError(
      `The options of the Medplum client "${client}" are wrong:\n- ${problems.join('\n- ')}`,
    );
  }
  return Object.freeze({
    baseUrl: Object.freeze({ ...baseUrl, ...publicUrlOf(options) }),
    clientId,
    clientSecret: options.clientSecret,
    auth: options.auth ?? 'basic',
    requireOnBehalfOf: options.requireOnBehalfOf ?? true,
    allowEmptyClear: options.allowEmptyClear ?? true,
    defaultOnBehalfOf,
    resolveOnBehalfOf: options.resolveOnBehalfOf,
    isAuthenticated: options.isAuthenticated ?? loggedIn,
    extended: options.extended ?? true,
    beforeRequest: options.beforeRequest,
    abortOnDisconnect: options.abortOnDisconnect ?? false,
    compression: options.compression ?? false,
    logTag: options.logTag,
    timeout: options.timeout ?? 30_000,
    connectTimeout: options.connectTimeout ?? 5_000,
    headersTimeout: options.headersTimeout ?? 0,
    bodyTimeout: options.bodyTimeout ?? 0,
    shutdownTimeout: options.shutdownTimeout ?? 10_000,
    maxResponseBytes: options.maxResponseBytes ?? 64 * 2 ** 20,
    retry: Object.freeze({ ...RETRY_DEFAULTS, ...defined(options.retry) }),
    pool: Object.freeze({ connections: 64, keepAliveTimeout: 10_000, ...defined(options.pool) }),
    dispatcher: options.dispatcher,
    membershipCheck: membershipCheckOf(options.membershipCheck),
    storageOrigins: Object.freeze([...(options.storageOrigins ?? storageOf(baseUrl))]),
    audit: Object.freeze(defined(options.audit)),
    auditContext: options.auditContext,
  });
}

/** An absent default is none. One that is present must name somebody: an empty one would be a client without guard. */
function parseDefault(
  options: Partial<MedplumModuleOptions>,
  clientId: string,
  problems: string[],
): OnBehalfOfReference | undefined {
  if (!('defaultOnBehalfOf' in options)) {
    return undefined;
  }
  try {
    return parseOnBehalfOf(options.defaultOnBehalfOf, 'defaultOnBehalfOf', clientId);
  } catch (error) {
    problems.push(isMedplumError(error) ? error.message : 'defaultOnBehalfOf cannot be read');
    return undefined;
  }
}
