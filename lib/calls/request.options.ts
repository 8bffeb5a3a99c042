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
