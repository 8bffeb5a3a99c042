import { isMilliseconds, MAX_MILLISECONDS } from '../shared/milliseconds';
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownName } from '../errors/shown';
import type { IfMatch } from '../fhir/interactions';
import type { MedplumHeaders } from './caller-headers';
import type { MedplumCallRetryOptions } from '../http/retry.options';
import type { OnBehalfOfInput } from '../on-behalf-of/on-behalf-of.reference';

/** Options that every call takes as its last argument. An unknown key is an error: it may be a misspelt `onBehalfOf`. */
export interface MedplumRequestOptions {
  /**
   * Whom this one call is made for; it wins over everything ambient. The empty string clears: the call is made as the
   * client itself. A key that is present with `undefined` or `null` is an error; leave it out to use what is ambient.
   */
  readonly onBehalfOf?: OnBehalfOfInput;
  /** Ends the call with `MedplumAbortError`. */
  readonly signal?: AbortSignal;
  /** For the whole call, retries included, in ms. Default: the module's `timeout`. */
  readonly timeout?: number;
  /** How often and how patiently this call is repeated. Default: the module's `retry`. `{ maxRetries: 0 }`: not at all. */
  readonly retry?: MedplumCallRetryOptions;
  /** Further headers. Those that the library owns are an error in any spelling. */
  readonly headers?: MedplumHeaders;
}

/** Options of `updateResource`. */
export interface MedplumUpdateOptions extends MedplumRequestOptions {
  /**
   * Default `true`: sends `If-Match` with the `meta.versionId` of the resource, if it has one, so that a concurrent
   * change is a `MedplumPreconditionFailedError` instead of being overwritten. `false` sends none; text names the version.
   */
  readonly ifMatch?: IfMatch;
}

const KEYS = ['onBehalfOf', 'signal', 'timeout', 'retry', 'headers'];

const RETRY_KEYS = ['maxRetries', 'minTimeout', 'maxTimeout'];

/**
 * @internal
 * @param further names of the options that the method has beside those of every call.
 * @throws MedplumBadRequestError for a key that is none, and for a value of the wrong type.
 */
export function checkRequestOptions(options: MedplumRequestOptions, further: readonly string[] = []): void {
  if (typeof options !== 'object' || options === null) {
    throw new MedplumBadRequestError('The last argument of a call must be an object of options.');
  }
  for (const key in options) {
    if (!KEYS.includes(key) && !further.includes(key)) {
      throw new MedplumBadRequestError(
        `${shownName(key)} is not an option of this call (known: ${[...KEYS, ...further].join(', ')}).`,
      );
    }
  }
  const { timeout, signal } = options;
  if (timeout !== undefined && !isMilliseconds(timeout)) {
    throw new MedplumBadRequestError('The timeout option must be a number of milliseconds between 1 and 2147483647.');
  }
  checkRetry(options.retry);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new MedplumBadRequestError('The signal option must be an AbortSignal.');
  }
}

function checkRetry(retry: unknown): void {
  if (retry === undefined) {
    return;
  }
  const entries =
    typeof retry === 'object' && retry !== null && !Array.isArray(retry) ? Object.entries(retry) : [['', 0]];
  for (const [key, value] of entries as [string, unknown][]) {
    const least = key === 'maxRetries' ? 0 : 1;
    const isNumber = typeof value === 'number' && value >= least && value <= MAX_MILLISECONDS;
    if (!RETRY_KEYS.includes(key) || !isNumber || (least === 0 && !Number.isInteger(value))) {
      throw new MedplumBadRequestError(
        'The retry option must be an object with maxRetries (a whole number, 0 or more), minTimeout and maxTimeout (milliseconds).',
      );
    }
  }
}
