import type { Dispatcher } from 'undici';
import { bodyText, TooLarge } from './response-body';
import { Cancelled, type Deadline } from './deadline';
import { failureCode } from './transport-failure';
import { TOO_LARGE, type Wire, type WireResponse, WireFailure, type WireRequest } from './wire';

/** What limits the responses of the pool. */
export interface PoolWireLimits {
  /** Most bytes of one response, also after unpacking. */
  readonly maxBytes: number;
}

/**
 * Makes attempts over the library's own pool, one layer below `request()` of undici. A response that is read as a whole
 * needs neither the stream nor the promise nor the `AsyncResource` that `request()` makes. On this layer, undici also tells
 * when a request gets its connection, so each failure knows whether the request may have been sent.
 */
export class PoolWire implements Wire {
  readonly #pool: Dispatcher;
  readonly #origin: string;
  readonly #streaming: Wire;
  readonly #limits: PoolWireLimits;

  /** @param streaming takes the requests whose own body or response body is a stream. */
  constructor(pool: Dispatcher, origin: string, streaming: Wire, limits: PoolWireLimits) {
    this.#pool = pool;
    this.#origin = origin;
    this.#streaming = streaming;
    this.#limits = limits;
  }

  exchange(request: WireRequest, deadline: Deadline): Promise<WireResponse | WireFailure> {
    const { method, path, body } = request;
    if (request.stream || !(body === undefined || typeof body === 'string' || body instanceof Uint8Array)) {
      return this.#streaming.exchange(request, deadline);
    }
    return new Promise((resolve) => {
      const exchange = new PoolExchange(resolve, deadline, this.#limits.maxBytes);
      try {
        const headers = request.headers as string[];
        this.#pool.dispatch({ origin: this.#origin, path, method, headers, body: body ?? null }, exchange);
      } catch (cause) {
        exchange.onError(cause);
      }
    });
  }
}

/** Listens to one request of the pool, and is its response. */
class PoolExchange implements Dispatcher.DispatchHandler, WireResponse {
  status = 0;
  text = '';
  readonly #resolve: (result: WireResponse | WireFailure) => void;
  readonly #deadline: Deadline;
  readonly #maxBytes: number;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #rawHeaders: readonly (Buffer | string)[] = [];
  #abort: ((reason?: Error) => void) | undefined;
  #done = false;

  constructor(resolve: (result: WireResponse | WireFailure) => void, deadline: Deadline, maxBytes: number) {
    this.#resolve = resolve;
    this.#deadline = deadline;
    this.#maxBytes = maxBytes;
    deadline.watch(this);
  }

  /** Called by the deadline when the call is cancelled. */
  cancel(reason: Cancelled): void {
    this.#fail(reason);
    this.#abort?.(reason as unknown as Error);
  }

  /** Called by undici when the request is about to be written. */
  onConnect(abort: (reason?: Error) => void): void {
    if (this.#done) {
      abort(this.#deadline.reason as unknown as Error);
      return;
    }
    this.#abort = abort;
  }

  onHeaders(status: number, rawHeaders: Buffer[]): boolean {
    // 1xx (RFC 9110 section 15.2) only announce the response.
    if (status >= 200) {
      this.status = status;
      this.#rawHeaders = rawHeaders;
      if (Number(this.header('content-length')) > this.#maxBytes) {
        this.#refuse();
      }
    }
    return true;
  }

  onData(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) {
      this.#refuse();
    } else {
      this.#chunks.push(chunk);
    }
    return true;
  }

  onComplete(): void {
    if (this.#done) {
      return;
    }
    try {
      const text = bodyText(this.#chunks, this.#bytes, this.header('content-encoding'), this.#maxBytes);
      if (typeof text === 'string') {
        this.#succeed(text);
      } else {
        text.then(
          (decoded) => this.#succeed(decoded),
          (cause: unknown) => this.#fail(cause),
        );
      }
    } catch (cause) {
      this.#fail(cause);
    }
  }

  onError(cause: unknown): void {
    this.#fail(cause);
  }

  header(name: string): string | undefined {
    const raw = this.#rawHeaders;
    let value: string | undefined;
    for (let i = 0; i < raw.length; i += 2) {
      const key = raw[i];
      if (key?.length === name.length && key.toString().toLowerCase() === name) {
        const line = latin1(raw[i + 1]);
        value = value === undefined ? line : `${value}, ${line}`;
      }
    }
    return value;
  }

  #refuse(): void {
    const cause = new TooLarge();
    this.#fail(cause);
    this.#abort?.(cause);
  }

  #succeed(text: string): void {
    if (!this.#done) {
      this.#done = true;
      this.#deadline.unwatch();
      this.text = text;
      this.#resolve(this);
    }
  }

  #fail(cause: unknown): void {
    if (this.#done) {
      return;
    }
    this.#done = true;
    this.#deadline.unwatch();
    this.#chunks.length = 0;
    const sent = this.#abort !== undefined;
    this.#resolve(new WireFailure(codeOf(cause), sent, this.status === 0 ? undefined : this.status, cause));
  }
}

function latin1(raw: Buffer | string | undefined): string {
  return typeof raw === 'object' ? raw.toString('latin1') : (raw ?? '');
}

const CANCELLED = { timeout: 'TIMEOUT', abort: 'ABORTED', disconnect: 'DISCONNECTED', shutdown: 'SHUTDOWN' } as const;

/** The code under which an attempt records what ended it. */
export function codeOf(cause: unknown): string {
  if (cause instanceof Cancelled) {
    return CANCELLED[cause.reason];
  }
  return cause instanceof TooLarge ? TOO_LARGE : failureCode(cause);
}
