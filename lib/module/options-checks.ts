import type { MedplumAuditOptions, MedplumAuditSink } from '../audit/audit-sink';
import { shownName } from '../errors/shown';
import { nearMissOf, parseBaseUrl } from '../shared/base-url';
import { isLogTag } from '../calls/caller-headers';
import type { MedplumDelegationOptions } from '../delegation/delegation.options';
import { resolveDelegationKeys } from '../delegation/delegation-keys';
import { isDelegationName } from '../delegation/delegation-settings';
import type { MedplumDispatcher } from '../http/medplum-dispatcher';
import type { MedplumStore } from '../shared/medplum-store';
import { isMilliseconds } from '../shared/milliseconds';
import { nearestName } from '../shared/nearest-name';
import type { MedplumQuotaOptions } from '../http/quota.options';
import type { MedplumRetryOptions } from '../http/retry.options';
import type { MedplumPoolOptions } from '../http/pool';
import type { MedplumModuleOptions } from '../medplum.options';
import type { MedplumBreakGlassOptions } from '../calls/break-glass.options';
import type { MembershipCheckOptions } from '../calls/membership-check';

/** What `forRootAsync` takes beside the factory. `forRoot` takes it out of the options. */
const EXTRAS = ['name', 'isGlobal', 'exceptionFilter', 'routes', 'extraProviders'];

/** In characters. Longer keys are not compared with the names of options. */
const LONGEST_NAME = 64;

/** What is wrong with a value, if anything is. */
export type Check = (value: unknown) => string | undefined;

const is =
  (expected: string, test: (value: unknown) => boolean): Check =>
  (value) =>
    test(value) ? undefined : `must be ${expected}`;

/** Whether there is more than blanks in it. */
export const isText = (value: unknown): boolean => typeof value === 'string' && value.trim() !== '';
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
  return 'problem' in url ? url.problem : nearMissOf(url);
};
const isFunction = (value: unknown): boolean => typeof value === 'function';

const aBoolean = is('a boolean', (value) => typeof value === 'boolean');
/** @internal */
export const ms = is('a number of milliseconds between 1 and 2147483647', isMilliseconds);

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

const BREAK_GLASS_CHECKS: Readonly<Record<keyof MedplumBreakGlassOptions, Check>> = {
  onBehalfOf: () => undefined,
  alert: is('a function', isFunction),
  maxDuration: ms,
};

const isSink = (value: unknown): boolean => isFunction((value as Partial<MedplumAuditSink> | null)?.write);
const isStore = (value: unknown): boolean =>
  (['add', 'get', 'set', 'delete'] as const).every((method) =>
    isFunction((value as Partial<MedplumStore> | null)?.[method]),
  );
const count = is('a whole number, 1 or more', isCount(1));

const QUOTA_CHECKS: Readonly<Record<keyof MedplumQuotaOptions, Check>> = {
  maxConcurrent: count,
  maxConcurrentPerIdentity: count,
  maxQueued: is('a whole number, 0 or more', isCount(0)),
  maxQueuedPerIdentity: is('a whole number, 0 or more', isCount(0)),
  pace: aBoolean,
};

const AUDIT_CHECKS: Readonly<Record<keyof MedplumAuditOptions, Check>> = {
  mode: is("'observe' or 'require'", (value) => value === 'observe' || value === 'require'),
  sinks: is('a list of sinks, which have a method write', (value) => Array.isArray(value) && value.every(isSink)),
  onFull: is("'drop' or a sink", (value) => value === 'drop' || isSink(value)),
  maxQueued: count,
  batchSize: count,
  writeTimeout: ms,
  flushTimeout: ms,
};

const aName = is('1 to 256 characters without control characters', isDelegationName);

const DELEGATION_CHECKS: Readonly<Record<keyof MedplumDelegationOptions, Check>> = {
  keys: (value) => {
    const keys = resolveDelegationKeys(value);
    return typeof keys === 'string' ? keys : undefined;
  },
  audience: aName,
  issuer: aName,
  realm: aName,
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
  lateCalls: is("'refuse', 'warn' or 'allow'", (value) => ['refuse', 'warn', 'allow'].includes(value as string)),
  resolveOnBehalfOf: is('a reference, a function or a resolver class', (value) => isText(value) || isFunction(value)),
  isAuthenticated: is('a function', isFunction),
  reauthorizeEvery: ms,
  extended: aBoolean,
  beforeRequest: is('a function', isFunction),
  abortOnDisconnect: aBoolean,
  compression: aBoolean,
  batchReads: aBoolean,
  debugErrors: aBoolean,
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
  delegation: (value) =>
    nested(value, DELEGATION_CHECKS) ??
    ((value as Partial<MedplumDelegationOptions>).keys === undefined ? 'is wrong: keys is missing' : undefined),
  storageOrigins: is('a list of origins such as https://storage.example.com', areOrigins),
  breakGlass: (value) =>
    nested(value, BREAK_GLASS_CHECKS) ?? ('alert' in (value as object) ? undefined : 'lacks the function alert'),
  store: is('a store, which has the methods add, get, set and delete', isStore),
  quota: (value) => (typeof value === 'boolean' ? undefined : nested(value, QUOTA_CHECKS)),
  allowInsecureHttp: aBoolean,
};

/** The problems of one set of keys, each with the name of its key; `undefined` values count as absent. */
export function* problemsOf(values: object, checks: Readonly<Record<string, Check>>): Iterable<string> {
  for (const [key, value] of Object.entries(values)) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
    const problem = check ? value !== undefined && check(value) : unknownKey(key, Object.keys(checks));
    if (problem) {
      yield `${shownName(key)} ${problem}`;
    }
  }
}

function unknownKey(key: string, known: readonly string[]): string {
  if (EXTRAS.includes(key)) {
    return 'is not an option that a factory can return. Put it beside the factory, because Nest needs it earlier';
  }
  const nearest = key.length <= LONGEST_NAME ? nearestName(key, known) : undefined;
  return nearest ? `is not an option. Did you mean ${nearest}?` : `is not an option (known: ${known.join(', ')})`;
}

function nested(value: unknown, checks: Readonly<Record<string, Check>>): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'must be an object';
  }
  const problems = [...problemsOf(value, checks)];
  return problems.length > 0 ? `is wrong: ${problems.join('; ')}` : undefined;
}

/** @internal Everything that is wrong with the options of a client one by one, never with a value. */
export function optionProblems(options: object): string[] {
  return [...problemsOf(options, CHECKS)];
}
