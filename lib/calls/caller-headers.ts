import { MedplumBadRequestError } from '../errors/response.errors';

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 section 5.5, without obsolete text: visible ASCII, inner blanks and tabs. */
const VALUE = /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/;

const OWNED: ReadonlyMap<string, string> = new Map([
  ['authorization', 'the clientId and clientSecret options of the module'],
  ['x-medplum-on-behalf-of', 'the onBehalfOf option of the call'],
  ['x-medplum', 'the extended option of the module'],
]);

/** Headers that frame the message, code it or name the connection belong to the transport, which decodes nothing. */
const FRAMING = new Set([
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Medplum writes it into its log lines of the request. */
export const LOG_TAG = 'x-medplum-log-tag';

/** Whether Medplum accepts `value` as a log tag: 1 to 128 characters of printable ASCII. It responds to any other with 400. */
export function isLogTag(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 128 && VALUE.test(value);
}

/** Headers as callers may give them. */
export type MedplumHeaders = Readonly<Record<string, string>> | Iterable<readonly [string, string]>;

/**
 * The caller's headers under lower-case names.
 *
 * @param request headers that the call itself says: `If-None-Exist` for one decides whether it may be repeated, so the
 * caller cannot change them. Only `Accept` gives way.
 * @throws MedplumBadRequestError for a header that the library owns, in any spelling, and for one that is not well-formed.
 */
export function callerHeaders(
  headers: MedplumHeaders | undefined,
  request: Readonly<Record<string, string>> = {},
): Record<string, string> {
  if (headers === undefined) {
    return {};
  }
  const result = new Map<string, string>();
  if (typeof headers !== 'object' || headers === null) {
    throw new MedplumBadRequestError('The headers option must be an object, a Headers or a list of pairs.');
  }
  for (const [given, value] of Symbol.iterator in headers ? headers : Object.entries(headers)) {
    if (typeof given !== 'string' || !TOKEN.test(given)) {
      throw new MedplumBadRequestError(
        'The headers option has a name that is no HTTP header name, so nothing was sent. Use letters, digits and hyphens.',
      );
    }
    const name = given.toLowerCase();
    const instead = OWNED.get(name);
    if (instead !== undefined) {
      throw new MedplumBadRequestError(
        `The header ${name} cannot be set for a call, because nestjs-medplum sets it. Use ${instead}.`,
      );
    }
    if (FRAMING.has(name)) {
      throw new MedplumBadRequestError(
        `The header ${name} cannot be set for a call, because it belongs to the connection. Leave it out.`,
      );
    }
    if (name !== 'accept' && Object.hasOwn(request, name)) {
      throw new MedplumBadRequestError(
        `The header ${name} cannot be set for this call, because the method sets it. Leave it out.`,
      );
    }
    if (typeof value !== 'string' || !VALUE.test(value)) {
      throw new MedplumBadRequestError(
        `The value of the header ${name} cannot be sent. It must be visible ASCII text without line breaks.`,
      );
    }
    if (name === LOG_TAG && !isLogTag(value)) {
      throw new MedplumBadRequestError(`The header ${name} must be 1 to 128 characters of ASCII.`);
    }
    if (result.has(name)) {
      throw new MedplumBadRequestError(`The header ${name} is given twice.`);
    }
    result.set(name, value);
  }
  return Object.fromEntries(result);
}

function isMedplumHeader(pair: unknown): boolean {
  return Array.isArray(pair) && /^x-medplum$/i.test(String(pair[0]));
}

/** Returns the headers that a caller passed to `fetch`, without `X-Medplum`, which `@medplum/core` always sets. */
export function fetchHeaders(given: MedplumHeaders): MedplumHeaders {
  if (typeof given !== 'object' || given === null) {
    return given;
  }
  // Anything that is not a pair stays in the list, so that the check of the caller's headers refuses it.
  return [...(Symbol.iterator in given ? given : Object.entries(given))].filter((pair) => !isMedplumHeader(pair));
}
