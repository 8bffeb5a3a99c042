import type { HistoryPage } from '../fhir/versions';
import type { MedplumRequestOptions } from '../calls/request.options';

/** Options of searches. */
export interface MedplumSearchOptions extends MedplumRequestOptions {
  /**
   * `true` sends the query as a form (`POST [type]/_search`), which keeps it out of access logs. Default: `true` if the
   * query is longer than 4,000 characters, because a URL cannot carry that safely.
   */
  readonly post?: boolean | undefined;
}

/** Options of `searchResourcePages`. `timeout` applies to each page. */
export interface MedplumPageOptions extends MedplumSearchOptions {
  /** Most pages to read. One more is an error, because it may be a loop. Default 1,000. */
  readonly maxPages?: number | undefined;
}

/** Options of `iterateResources`. `timeout` applies to each page. */
export interface MedplumIterateOptions extends MedplumPageOptions {
  /** Ends the iteration after this many resources. Default: all. */
  readonly maxResources?: number | undefined;
}

/** Options of `readHistory`. */
export interface MedplumHistoryOptions extends MedplumRequestOptions, HistoryPage {}

/** Options of `executeTransaction`. */
export interface MedplumTransactionOptions extends MedplumRequestOptions {
  /**
   * Adds a Provenance to the transaction, as its last entry: what the entries write, who acts, and why (the purpose of use
   * of the scope, and the reason of emergency access). The identity must be allowed to create it. Default `false`.
   */
  readonly provenance?: boolean | undefined;
}

/** Options of `graphql`. */
export interface MedplumGraphqlOptions extends MedplumRequestOptions {
  /** Values of the variables that the document declares. Put what users typed here, never into the document. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
  /** The operation of the document to run, if it has several. */
  readonly operationName?: string | undefined;
}

/** Options of `executeBot`. */
export interface MedplumBotOptions extends MedplumRequestOptions {
  /** Media type of the input, e.g. `x-application/hl7-v2+er7`. Default `text/plain` for text and bytes, else JSON. */
  readonly contentType?: string | undefined;
}

/** Options of downloads. */
export interface MedplumDownloadOptions extends MedplumRequestOptions {
  /** Most bytes to read. A longer stream ends with `MedplumContentTooLargeError`. Default 104,857,600 (100 MiB). */
  readonly maxBytes?: number | undefined;
}

/** Options of calls that wait for a job. `timeout` applies to each request. */
export interface MedplumPollOptions extends MedplumRequestOptions {
  /** How long to wait for the job, in ms. Default 600,000. */
  readonly maxWait?: number | undefined;
  /**
   * Wait before the second request for the state of the job, in ms. It grows with each request, to 30,000 at most. If the
   * server sends `Retry-After`, that applies, unless it is shorter than `interval`. Default 1,000.
   */
  readonly interval?: number | undefined;
}

/** Options of calls that act as the client itself. */
export type MedplumAdminOptions = Omit<MedplumRequestOptions, 'onBehalfOf'>;

/** Options of changes of access. `timeout` applies to all requests of the change together. */
export interface MedplumAccessOptions extends MedplumAdminOptions {
  /** Writes the membership even if nothing changes. Default `false`. */
  readonly force?: boolean | undefined;
  /**
   * How often to apply the change again after another client changed the membership. Default: as often as it takes within
   * the `timeout` of the call.
   */
  readonly maxRetries?: number | undefined;
  /** Allows the change to leave a membership without any policy; it may then do everything. Default `false`. */
  readonly allowUnrestricted?: boolean | undefined;
}

/** The second argument of `fetch`: the standard one, with the options of every call. */
export interface MedplumFetchInit extends Omit<MedplumRequestOptions, 'signal'> {
  /** Default `GET`. */
  readonly method?: string | undefined;
  /** Text, bytes, `URLSearchParams`, a `Blob` or a `ReadableStream`. */
  readonly body?: unknown;
  /** Ends the call with `MedplumAbortError`. */
  readonly signal?: AbortSignal | null | undefined;
}
