import type { HistoryPage } from '../fhir/versions';
import type { MedplumRequestOptions } from '../calls/request.options';

/** Options of searches. */
export interface MedplumSearchOptions extends MedplumRequestOptions {
  /**
   * `true` sends the query as a form (`POST [type]/_search`), so that it stands in no access log. Default: only when it
   * is longer than 4,000 characters, which a URL cannot carry safely.
   */
  readonly post?: boolean;
}

/** Options of `searchResourcePages`. `timeout` is for each page. */
export interface MedplumPageOptions extends MedplumSearchOptions {
  /** Most pages that are read; one more is an error, because it may be a loop. Default 1,000. */
  readonly maxPages?: number;
}

/** Options of `iterateResources`. `timeout` is for each page. */
export interface MedplumIterateOptions extends MedplumPageOptions {
  /** The iteration ends after so many resources. Default: all. */
  readonly maxResources?: number;
}

/** Options of `readHistory`. */
export interface MedplumHistoryOptions extends MedplumRequestOptions, HistoryPage {}

/** Options of `graphql`. */
export interface MedplumGraphqlOptions extends MedplumRequestOptions {
  /** Values of the variables that the document declares. Put what users typed here, never into the document. */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** Which operation of the document is run, when it has several. */
  readonly operationName?: string;
}

/** Options of `executeBot`. */
export interface MedplumBotOptions extends MedplumRequestOptions {
  /** Media type of the input, e.g. `x-application/hl7-v2+er7`. Default `text/plain` for text and bytes, else JSON. */
  readonly contentType?: string;
}

/** Options of downloads. */
export interface MedplumDownloadOptions extends MedplumRequestOptions {
  /** Most bytes that are read; more of them end the stream with an error. Default 100 MiB. */
  readonly maxBytes?: number;
}

/** Options of calls that wait for a job. `timeout` is for each request. */
export interface MedplumPollOptions extends MedplumRequestOptions {
  /** For how long the job is waited for, in ms. Default 600,000. */
  readonly maxWait?: number;
  /** How long to wait between two questions at first, in ms; it grows to 30 s. Default 1,000. `Retry-After` wins. */
  readonly interval?: number;
}

/** Options of calls that are made as the client itself. */
export type MedplumAdminOptions = Omit<MedplumRequestOptions, 'onBehalfOf'>;

/** Options of changes of access. `timeout` is for all requests of the change together. */
export interface MedplumAccessOptions extends MedplumAdminOptions {
  /** Writes the membership although nothing changes. Default `false`. */
  readonly force?: boolean;
  /** How often the change is applied again after somebody else changed the membership. Default 3. */
  readonly maxRetries?: number;
  /** Lets the change leave a membership without any policy, which may then do everything. Default `false`. */
  readonly allowUnrestricted?: boolean;
}

/** The second argument of `fetch`: the standard one, with the options of every call. */
export interface MedplumFetchInit extends Omit<MedplumRequestOptions, 'signal'> {
  /** Default `GET`. */
  readonly method?: string;
  /** Text, bytes, `URLSearchParams`, a `Blob` or a `ReadableStream`. */
  readonly body?: unknown;
  /** Ends the call. */
  readonly signal?: AbortSignal | null;
}
