import type { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';
import type { HttpBody, HttpMethod } from '../shared/request.types';

/** The part of a dispatcher's response that the library uses. */
export interface MedplumDispatcherResponse {
  /** HTTP status. */
  readonly statusCode: number;
  /** By lower-case name; an array if a header came several times. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** What interceptors of undici noted: `history` lists redirects that were followed. */
  readonly context?: object;
  /** The body, which is read once. */
  readonly body: Readable & { text(): Promise<string>; dump(): Promise<void> };
}

/** One request as the dispatcher gets it. */
export interface MedplumDispatcherRequest {
  /** Scheme, host and port of the server. */
  readonly origin: string;
  /** Path and query, encoded. */
  readonly path: string;
  /** HTTP method. */
  readonly method: HttpMethod;
  /** By lower-case name, each once. */
  readonly headers: Record<string, string>;
  /** The request body, if there is one. */
  readonly body?: HttpBody | null;
  /** Emits `abort` when the call is cancelled. */
  readonly signal?: EventEmitter;
  /** 0 switches off a redirect interceptor of undici. */
  readonly maxRedirections?: number;
  /** Switches off a retry interceptor of undici. */
  readonly retryOptions?: { maxRetries: number; statusCodes: number[]; throwOnError: boolean };
}

/**
 * The part of undici's `Dispatcher` that the library calls. It is typed by shape because the classes of undici 7 and 8
 * are not assignable to each other; an `Agent`, `Pool` or `MockAgent` of either fits.
 */
export interface MedplumDispatcher {
  /** Whether the dispatcher was destroyed, if it tells. It does not send requests that it gets afterwards. */
  readonly destroyed?: boolean;
  /** Sends one request. undici 7 and 8 share this method. */
  request(options: MedplumDispatcherRequest): Promise<MedplumDispatcherResponse>;
}
