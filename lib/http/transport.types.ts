import type { CallSpan } from './call-tracing';
import type { RunningCalls } from './deadline';
import type { HttpBody, HttpMethod, Repeatability, ResponseKind } from '../shared/request.types';
import type { MedplumCallRetryOptions } from './retry.options';

/** One logical request. The identity is an argument like any other: nothing below the service looks one up. */
export interface TransportRequest {
  readonly method: HttpMethod;
  /** Relative to the base URL, without a leading slash, already encoded, with query. */
  readonly path: string;
  /** `GET /fhir/R4/Patient/{id}`: how error texts name the request. */
  readonly call: string;
  /** Lower-case names. The transport adds its own three last. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: HttpBody | undefined;
  readonly repeatability: Repeatability;
  /** The body can be read once only, so no attempt follows the first, whatever became of it. */
  readonly once?: boolean | undefined;
  /** What is expected: a JSON object (default), JSON or text as the content type says, or content to be streamed. */
  readonly answer?: ResponseKind | undefined;
  /** A 304 is an answer to be handed on, not an error. */
  readonly notModified?: boolean | undefined;
  /** For streams: the most bytes that are read. */
  readonly maxBytes?: number | undefined;
  /** Value of `X-Medplum-On-Behalf-Of`, validated; `undefined` sends no header. */
  readonly onBehalfOf: string | undefined;
  /** Sends `X-Medplum: extended`. */
  readonly extended: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Ends the call as well: whom it is made for has gone away. */
  readonly disconnect?: AbortSignal | undefined;
  /** Calls that are to end when the app shuts down: those of sinks are not among them. */
  readonly running?: RunningCalls | undefined;
  /** In place of the client's settings, where set. */
  readonly retry?: MedplumCallRetryOptions | undefined;
  /** For the whole call, in ms. */
  readonly timeout: number;
  /** What is left of it when the request is handed over, in ms. Default: all of it. */
  readonly timeLeft?: number;
  /** Hears of attempts and retries, when the call is traced. */
  readonly span?: CallSpan | undefined;
}

/** A successful answer. */
export interface TransportResponse {
  readonly status: number;
  /** Parsed JSON, text or a `DownloadStream`, as was asked for; `undefined` when there was no body. */
  readonly body: unknown;
  readonly requestId: string | undefined;
  /** A header of the answer by its lower-case name; several lines are joined by commas. */
  readonly header: (name: string) => string | undefined;
}
