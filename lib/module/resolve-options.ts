import type { ExecutionContext } from '@nestjs/common';
import type { ClientSettingsWithSecret } from '../calls/client-settings';
import { resolveDelegation } from '../delegation/delegation-settings';
import { MedplumConfigError } from '../errors/medplum-config.error';
import { isMedplumError } from '../errors/medplum.error';
import { MemoryStore } from '../shared/memory-store';
import { type BaseUrl, nearMissOf, parseBaseUrl } from '../shared/base-url';
import { quotaOf } from '../http/quota.options';
import { RETRY_DEFAULTS } from '../http/retry.options';
import type { MedplumModuleOptions } from '../medplum.options';
import type { MembershipCheckOptions } from '../calls/membership-check';
import { type OnBehalfOfReference, parseOnBehalfOf } from '../on-behalf-of/on-behalf-of.reference';
import { requestOf } from '../on-behalf-of/on-behalf-of.source';
import { isText, optionProblems } from './options-checks';

function membershipCheckOf(
  given: MedplumModuleOptions['membershipCheck'],
): Required<MembershipCheckOptions> | undefined {
  const defaults = { allowAdminIdentity: false, requirePolicy: true, ttl: 60_000, maxEntries: 1_000 };
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
export function resolveOptions(given: MedplumModuleOptions, client: string): ClientSettingsWithSecret {
  const options: Partial<MedplumModuleOptions> = typeof given === 'object' && given !== null ? given : {};
  const problems = optionProblems(options);
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
  if (options.debugErrors === true && process.env['NODE_ENV'] === 'production') {
    problems.push(
      'debugErrors must not be true with NODE_ENV=production: it writes texts of the server into the log, which may quote records',
    );
  }
  const address = options.baseUrl ?? 'https://api.medplum.com/';
  const baseUrl = isText(address) ? parseBaseUrl(address, options.allowInsecureHttp === true) : { problem: '' };
  const wrongBaseUrl = 'problem' in baseUrl ? baseUrl.problem : nearMissOf(baseUrl);
  if (wrongBaseUrl) {
    problems.push(`baseUrl ${wrongBaseUrl}`);
  }
  const clientId = String(options.clientId);
  const defaultOnBehalfOf = parseDefault(options, clientId, problems);
  const { onBehalfOf: emergency } = options.breakGlass ?? {};
  if (options.breakGlass && typeof emergency !== 'function') {
    parsed(emergency, 'breakGlass.onBehalfOf', clientId, problems);
  }
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
    lateCalls: options.lateCalls ?? 'refuse',
    resolveOnBehalfOf: options.resolveOnBehalfOf,
    isAuthenticated: options.isAuthenticated ?? loggedIn,
    reauthorizeEvery: options.reauthorizeEvery ?? 300_000,
    extended: options.extended ?? true,
    beforeRequest: options.beforeRequest,
    abortOnDisconnect: options.abortOnDisconnect ?? false,
    compression: options.compression ?? false,
    batchReads: options.batchReads ?? false,
    logTag: options.logTag,
    debugErrors: options.debugErrors ?? false,
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
    breakGlass: options.breakGlass && Object.freeze({ maxDuration: 3_600_000, ...defined(options.breakGlass) }),
    quota: options.quota ? quotaOf(options.quota === true ? {} : options.quota) : undefined,
    store: options.store ?? new MemoryStore(),
    delegation:
      options.delegation && resolveDelegation(options.delegation, { ...baseUrl, ...publicUrlOf(options) }, clientId),
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
  return parsed(options.defaultOnBehalfOf, 'defaultOnBehalfOf', clientId, problems);
}

function parsed(value: unknown, name: string, clientId: string, problems: string[]): OnBehalfOfReference | undefined {
  try {
    return parseOnBehalfOf(value, name, clientId);
  } catch (error) {
    problems.push(isMedplumError(error) ? error.message : `${name} cannot be read`);
    return undefined;
  }
}
