import type { Readable } from 'node:stream';
import type { HttpBody, HttpMethod } from '../shared/request.types';
import type { Deadline } from './deadline';

/** One attempt, as it goes to the connection pool. */
export interface WireRequest {
  readonly method: HttpMethod;
  /** With a leading slash and the query. */
  readonly path: string;
  /** Names and values in turn: name, value, name, value. */
  readonly headers: readonly string[];
  readonly body: HttpBody | undefined;
  /** Passes the body of a 2xx response on as it arrives, instead of reading it. */
  readonly stream: boolean;
}

/** A response that was read to its end, or up to its body if that is streamed. */
export interface WireResponse {
  readonly status: number;
  /** Empty when the body is streamed. */
  readonly text: string;
  readonly stream?: Readable;
  /** `text` as an object, if it is parsed already. Nobody else has it. */
  readonly json?: object | undefined;
  /** Id of the request that the attempt shared with others. */
  readonly batchId?: string | undefined;
  /** The header with this lower-case name; several lines are joined by commas (RFC 9110 section 5.3). */
  header(name: string): string | undefined;
}

/** An attempt without a usable response. */
export class WireFailure {
  constructor(
    readonly code: string,
    /** The request may have reached the server. */
    readonly sent: boolean,
    /** The status line had been read: the server has decided. */
    readonly status: number | undefined,
    /** `Cancelled` when the client gave the attempt up. */
    readonly cause: unknown,
    /** Id of the request that the attempt shared with others. */
    readonly batchId?: string,
  ) {}
}

/** Makes single attempts. */
export interface Wire {
  /** Never rejects: a failure is a result too. */
  exchange(request: WireRequest, deadline: Deadline): Promise<WireResponse | WireFailure>;
}

/** Makes attempts that may share one request. */
export interface BatchWire {
  /**
   * Never rejects: a failure is a result too.
   *
   * @param group attempts share a request only if they have the same group and headers.
   */
  exchange(request: WireRequest, deadline: Deadline, group: string): Promise<WireResponse | WireFailure>;
}

/** Code of a failure: the server did not accept the shared request. The attempt has to be made by itself. */
export const BATCH_REFUSED = 'BATCH_REFUSED';

/** Code of a failure: the response is larger than the client reads. */
export const TOO_LARGE = 'CONTENT_TOO_LARGE';
