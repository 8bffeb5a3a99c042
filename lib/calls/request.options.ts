import type { IfMatch } from '../fhir/interactions';
import type { MedplumHeaders } from './caller-headers';
import type { MedplumCallRetryOptions } from '../http/retry.options';
import type { OnBehalfOfInput } from '../on-behalf-of/on-behalf-of.reference';

/** The last argument of every call. An unknown key is an error, because it may be a misspelt `onBehalfOf`. */
export interface MedplumRequestOptions {
  /**
   * The identity that this one call acts as. It wins over the scope and the default. The empty string makes the call as
   * the client itself. `undefined` and `null` are errors; leave the key out to use the scope or the default.
   */
  readonly onBehalfOf?: OnBehalfOfInput;
  /** Ends the call with `MedplumAbortError`. */
  readonly signal?: AbortSignal | undefined;
  /** Time limit of the whole call, retries included, in ms. Default: the `timeout` of the client. */
  readonly timeout?: number | undefined;
  /** How this call is retried; `{ maxRetries: 0 }` switches retries off. Default: the `retry` option of the client. */
  readonly retry?: MedplumCallRetryOptions | undefined;
  /**
   * Whether this read or search may share a request with others of the same identity; see the option of the client. Other
   * calls ignore it. Default: the `batchReads` option of the client.
   */
  readonly batchReads?: boolean | undefined;
  /** Further headers. A header that the library owns is an error, in any spelling. Default: none. */
  readonly headers?: MedplumHeaders | undefined;
}

/** Options of `updateResource`. */
export interface MedplumUpdateOptions extends MedplumRequestOptions {
  /**
   * `true` sends `If-Match` with the `meta.versionId` of the resource, if it has one: after a concurrent change, the update
   * fails with `MedplumPreconditionFailedError` instead of overwriting it. `false` sends no `If-Match`. A text is the version
   * to send. Default `true`.
   */
  readonly ifMatch?: IfMatch | undefined;
}
