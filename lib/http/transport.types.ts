import type { BaseUrl } from '../shared/base-url';
import type { HttpBody, HttpMethod, Repeatability, ResponseKind } from '../shared/request.types';
import type { CallSpan } from './call-tracing';
import type { Credentials } from './credentials';
import type { RunningCalls } from './deadline';
import type { FairShares, Turn } from './fair-shares';
import type { MedplumCallRetryOptions, MedplumRetryOptions } from './retry.options';
import type { ServerQuota } from './server-quota';
import type { BatchWire, Wire } from './wire';

/** What a transport is made of. */
export interface TransportOptions {
  readonly baseUrl: BaseUrl;
  readonly wire: Wire;
  /** Makes the attempts of requests that have a `batch`. Default: `wire` makes them all. */
  readonly batches?: BatchWire;
  readonly credentials: Credentials;
  readonly retry: Required<MedplumRetryOptions>;
  /** Requests compressed responses, except for streams, which are passed on as they arrive. Default `false`. */
  readonly compression?: boolean;
  /** Learns from the responses what is left of the client's quota. */
  readonly quota?: ServerQuota | undefined;
  /** Where requests with a {@link TransportRequest.turn} queue. */
  readonly shares?: FairShares | undefined;
}

/** The request of one call. The identity is an argument like any other: nothing below the service looks one up. */
export interface TransportRequest {
  readonly method: HttpMethod;
  /** Relative to the base URL, without a leading slash, already encoded, with query. */
  readonly path: string;
  /** `GET /fhir/R4/Patient/{id}`: how error texts name the request. */
  readonly call: string;
  /** Lower-case names. The transport adds its own three last. */
  readonly headers: Readonly<Record<string, string>>;
  /** Name of the FHIR operation, with its `$`. */
  readonly operation?: string | undefined;
  readonly body?: HttpBody | undefined;
  readonly repeatability: Repeatability;
  /** The body can be read only once, so the request is never retried. */
  readonly once?: boolean | undefined;
  /** How the response is read. Default: as a JSON object. */
  readonly responseKind?: ResponseKind | undefined;
  /** The caller gets a 304 as a response, not as an error. */
  readonly notModified?: boolean | undefined;
  /** For streamed responses: most bytes to read. Default: no limit. */
  readonly maxBytes?: number | undefined;
  /** Value of `X-Medplum-On-Behalf-Of`, validated; `undefined` sends no header. */
  readonly onBehalfOf: string | undefined;
  /** Sends `X-Medplum: extended`. */
  readonly extended: boolean;
  /** Requests with the same text here, and the same headers, may be sent as one. Default: the request is sent by itself. */
  readonly batch?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Ends the call as well: aborts when the client of the inbound request hangs up. */
  readonly disconnect?: AbortSignal | undefined;
  /** Where the call registers, so that shutdown ends it. The calls of sinks do not register. */
  readonly running?: RunningCalls | undefined;
  /** Overrides the retry options of the client, where set. */
  readonly retry?: MedplumCallRetryOptions | undefined;
  /** Time limit of the whole call, in ms. */
  readonly timeout: number;
  /** How much of `timeout` is left when the transport gets the request, in ms. Default: all of it. */
  readonly timeLeft?: number;
  /** Whose turn each attempt waits for. Default: it does not wait. */
  readonly turn?: Turn | undefined;
  /** Is told of attempts and retries when the call is traced. */
  readonly span?: CallSpan | undefined;
}

/** A successful response. */
export interface TransportResponse {
  readonly status: number;
  /** Parsed JSON, text or a `DownloadStream`, as `responseKind` says; `undefined` when there was no body. */
  readonly body: unknown;
  readonly requestId: string | undefined;
  /** The header with this lower-case name; several lines are joined by commas. */
  readonly header: (name: string) => string | undefined;
}
