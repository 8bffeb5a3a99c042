import { type RequestAttempt, WireAttempt } from '../shared/request-attempt';
import { CallRetries } from './call-retries';
import { Cancelled, Deadline } from './deadline';
import { DownloadStream } from './download-stream';
import type { Turn, WaitingTurn } from './fair-shares';
import { readResponse } from './read-response';
import type { TransportOptions, TransportRequest, TransportResponse } from './transport.types';
import { BATCH_REFUSED, WireFailure, type WireRequest, type WireResponse } from './wire';

/** How many retries each call pays into the budget. */
const PER_CALL = 0.2;
/** How long an empty budget takes to fill up without any call, in seconds. */
const REFILL = 10;

/**
 * The retries that all calls of a client may make together. Each call pays in a fifth of one, and time fills up the rest:
 * when a server is down, its load rises by a fifth instead of `maxRetries` times.
 */
class RetryBudget {
  readonly #size: number;
  #left: number;
  #at = performance.now();

  /** @param size retries that may be made in a row, beyond what calls pay in. */
  constructor(size: number) {
    this.#size = size;
    this.#left = size;
  }

  /** Counts a call. */
  called(): void {
    this.#left = Math.min(this.#size, this.#left + PER_CALL);
  }

  /** Takes one retry out; returns `false` when there is none. */
  take(): boolean {
    const now = performance.now();
    this.#left = Math.min(this.#size, this.#left + ((now - this.#at) / 1000) * (this.#size / REFILL));
    this.#at = now;
    if (this.#left < 1) {
      return false;
    }
    this.#left--;
    return true;
  }
}

/** Sends requests: attempts, one deadline, and retries of what is safe. It knows neither Nest nor any scope. */
export class MedplumTransport {
  readonly #options: TransportOptions;
  readonly #budget: RetryBudget;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#budget = new RetryBudget(options.retry.budget);
  }

  /**
   * Sends one request and reads its response. Adds each attempt to `attempts`, however it ends.
   *
   * @throws MedplumError of the class that fits, with its `effect`.
   */
  send(request: TransportRequest, attempts: RequestAttempt[]): Promise<TransportResponse> {
    this.#budget.called();
    return new TransportCall(request, this.#options, this.#budget, attempts).run();
  }
}

/** One call while it runs. */
class TransportCall {
  readonly #request: TransportRequest;
  readonly #options: TransportOptions;
  readonly #budget: RetryBudget;
  readonly #deadline: Deadline;
  readonly #attempts: RequestAttempt[];
  /** The headers that all attempts send. */
  readonly #headers: readonly string[];
  /** The server did not accept the batch that the request was part of. */
  #isAlone = false;
  #retries: CallRetries | undefined;

  constructor(request: TransportRequest, options: TransportOptions, budget: RetryBudget, attempts: RequestAttempt[]) {
    const { timeLeft, timeout, signal, disconnect, running } = request;
    this.#request = request;
    this.#options = options;
    this.#budget = budget;
    this.#deadline = new Deadline(timeLeft ?? timeout, signal, disconnect, running);
    this.#attempts = attempts;
    this.#headers = headersOf(request, options.compression === true);
  }

  /** @throws MedplumError of the class that fits. */
  async run(): Promise<TransportResponse> {
    let streams = false;
    let held: Turn | undefined;
    try {
      for (;;) {
        const pending = this.#options.credentials.authorization();
        const authorization = pending instanceof Promise ? await this.#failed.awaitCredentials(pending) : pending;
        if (this.#deadline.reason) {
          throw this.#deadline.reason;
        }
        const { turn } = this.#request;
        const waiting = turn && this.#options.shares?.enter(turn, this.#deadline.remaining, this.#attempts.length > 0);
        if (waiting) {
          await this.#awaitTurn(waiting);
        }
        held = turn;
        const startedAt = performance.now();
        const result = await this.#exchange(this.#wireRequest(authorization));
        held = undefined;
        this.#note(performance.now() - startedAt, result, turn);
        if (result instanceof WireFailure && result.code === BATCH_REFUSED) {
          // Nothing is known yet of the request itself.
          this.#isAlone = true;
          this.#request.span?.retrying(BATCH_REFUSED);
        } else if (result instanceof WireFailure) {
          await this.#failed.afterFailure(result);
        } else if (isSuccess(result.status) || (result.status === 304 && this.#request.notModified)) {
          const response = readResponse(this.#request, result, this.#deadline);
          // A stream goes on under the same deadline, and disposes of it when it ends.
          streams = response.body instanceof DownloadStream;
          return response;
        } else {
          await this.#failed.afterResponse(result, authorization);
        }
      }
    } catch (error) {
      throw error instanceof Cancelled ? this.#failed.cancelled(error, undefined) : error;
    } finally {
      if (held) {
        this.#options.shares?.leave(held);
      }
      if (!streams) {
        this.#deadline.dispose();
      }
    }
  }

  /** @throws MedplumError if the call is given up before its turn. */
  async #awaitTurn(waiting: WaitingTurn): Promise<void> {
    const { timeout } = this.#request;
    const late = `did not get its turn within its timeout of ${timeout} ms, because too many calls of the client run (option quota).`;
    this.#deadline.watch(waiting);
    try {
      await waiting.granted;
    } catch (cause) {
      throw cause instanceof Cancelled ? this.#failed.cancelled(cause, undefined, late) : cause;
    } finally {
      this.#deadline.unwatch();
    }
    // The call may have been given up after its turn had come.
    if (this.#deadline.reason) {
      this.#options.shares?.leave(waiting.turn);
      throw this.#deadline.reason;
    }
  }

  /** Most calls succeed at the first attempt and never need it. */
  get #failed(): CallRetries {
    return (this.#retries ??= new CallRetries(
      this.#request,
      this.#options,
      this.#deadline,
      this.#attempts,
      this.#budget,
    ));
  }

  #exchange(request: WireRequest): Promise<WireResponse | WireFailure> {
    const { wire, batches } = this.#options;
    const { batch } = this.#request;
    return batch === undefined || !batches || this.#isAlone
      ? wire.exchange(request, this.#deadline)
      : batches.exchange(request, this.#deadline, batch);
  }

  #wireRequest(authorization: string | undefined): WireRequest {
    const { method, path, body, responseKind } = this.#request;
    return {
      method,
      path: this.#options.baseUrl.path + path,
      headers: authorization === undefined ? this.#headers : [...this.#headers, 'authorization', authorization],
      body,
      stream: responseKind === 'stream',
    };
  }

  /** @param turn the place of the attempt, which it gives back: neither a slow reader nor a wait before a retry keeps it. */
  #note(duration: number, result: WireResponse | WireFailure, turn: Turn | undefined): void {
    const error = result instanceof WireFailure ? result.code : undefined;
    const { onBehalfOf = null, span, path } = this.#request;
    const { quota, shares } = this.#options;
    if (quota && !(result instanceof WireFailure)) {
      quota.note(path, result.header('ratelimit'));
    }
    if (turn) {
      shares?.leave(turn, duration);
    }
    const { status, batchId } = result;
    const attempt = new WireAttempt(this.#attempts.length + 1, duration, onBehalfOf, { status, error, batchId });
    this.#attempts.push(attempt);
    span?.attempted(attempt);
  }
}

/** Names and values in turn. The library's own headers come last, one value each. */
function headersOf({ headers, extended, onBehalfOf, responseKind }: TransportRequest, compression: boolean): string[] {
  const list: string[] = [];
  for (const name in headers) {
    list.push(name, headers[name] ?? '');
  }
  if (compression && responseKind !== 'stream') {
    list.push('accept-encoding', 'gzip, br');
  }
  if (extended) {
    list.push('x-medplum', 'extended');
  }
  if (onBehalfOf !== undefined) {
    list.push('x-medplum-on-behalf-of', onBehalfOf);
  }
  return list;
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}
