import type { OperationOutcome } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { type MedplumEffect, MedplumError } from '../errors/medplum.error';
import { MedplumRateLimitError, UnknownEffectError } from '../errors/response.errors';
import { cancelledError } from './failure-error';
import { Cancelled, type Deadline } from './deadline';
import { DownloadStream } from './download-stream';
import { failureError, isFinal, isInherent } from './failure-error';
import { readAnswer } from './read-answer';
import { type RequestAttempt, WireAttempt } from '../shared/request-attempt';
import {
  asOperationOutcome,
  type ErrorClass,
  isSerializationConflict,
  requestIdOf,
  responseError,
} from './response-error';
import { retryAfter } from './retry-after';
import type { RetryBudget } from './retry-budget';
import type { TransportOptions } from './transport.options';
import type { TransportRequest, TransportResponse } from './transport.types';
import { type WireAnswer, WireFailure, type WireRequest } from './wire';

/** The state of one call while it runs. */
export class TransportCall {
  /** An attempt failed after the request may have reached the server. */
  #fateUnknown = false;
  #retries = 0;
  #renewed = false;
  /** What all attempts send alike. */
  readonly #headers: readonly string[];

  constructor(
    private readonly request: TransportRequest,
    private readonly options: TransportOptions,
    private readonly budget: RetryBudget,
    private readonly deadline: Deadline,
    private readonly attempts: RequestAttempt[],
  ) {
    this.#headers = headersOf(request, options.compression === true);
  }

  /** @throws MedplumError of the class that fits. */
  async run(): Promise<TransportResponse> {
    let streams = false;
    try {
      for (;;) {
        const pending = this.options.credentials.authorization();
        const authorization = pending instanceof Promise ? await this.#fromCredentials(pending) : pending;
        if (this.deadline.reason) {
          throw this.deadline.reason;
        }
        const startedAt = performance.now();
        const result = await this.options.wire.exchange(this.#wireRequest(authorization), this.deadline);
        this.#note(performance.now() - startedAt, result);
        if (result instanceof WireFailure) {
          await this.#retryAfterFailure(result);
        } else if (isSuccess(result.status) || (result.status === 304 && this.request.notModified)) {
          const response = readAnswer(this.request, result, this.deadline);
          // A stream goes on under the same deadline, and lets go of it when it ends.
          streams = response.body instanceof DownloadStream;
          return response;
        } else {
          await this.#retryAfterAnswer(result, authorization);
        }
      }
    } catch (error) {
      throw error instanceof Cancelled ? this.#cancelled(error, undefined) : error;
    } finally {
      if (!streams) {
        this.deadline.dispose();
      }
    }
  }

  #wireRequest(authorization: string | undefined): WireRequest {
    const { method, path, body, answer } = this.request;
    return {
      method,
      path: this.options.baseUrl.path + path,
      headers: authorization === undefined ? this.#headers : [...this.#headers, 'authorization', authorization],
      body,
      stream: answer === 'stream',
    };
  }

  #note(duration: number, result: WireAnswer | WireFailure): void {
    const error = result instanceof WireFailure ? result.code : undefined;
    const { attempts, request } = this;
    const { status } = result;
    const attempt = new WireAttempt(attempts.length + 1, duration, request.onBehalfOf ?? null, { status, error });
    attempts.push(attempt);
    request.span?.attempted(attempt);
  }

  /** The error for a call that was given up from our side, in the midst of an attempt or between two. */
  #cancelled({ reason }: Cancelled, attempt: WireFailure | undefined): MedplumError {
    this.#fateUnknown ||= attempt?.sent === true && !isRefusal(attempt.status);
    const status = attempt?.status;
    const effect = this.#writes() && isSuccess(status) ? 'happened' : this.#effect();
    const again = reason === 'timeout' || reason === 'shutdown';
    const details = { status, effect, retryable: again && this.#mayBeMadeAgain(effect) };
    const { call, timeout } = this.request;
    const late = `was not answered within its timeout of ${timeout} ms, retries included.`;
    return cancelledError(reason, call, late, details);
  }

  /**
   * Waits for the credentials. Calls that wait for the same ones are refused with one error, but an error names its
   * call: each gets its own, with the effect of its own attempts.
   */
  async #fromCredentials<T>(pending: Promise<T>): Promise<T> {
    try {
      return await this.deadline.race(pending);
    } catch (error) {
      if (!(error instanceof MedplumError)) {
        throw error;
      }
      const effect = this.#effect();
      const retryable = error.retryable && this.#mayBeMadeAgain(effect);
      const { status, cause } = error;
      const wait = error instanceof MedplumRateLimitError ? error.retryAfter : undefined;
      const details = { status, cause, effect, retryable, retryAfter: wait };
      const { message } = error;
      const text = this.attempts.length === 0 ? `${message} Nothing was sent for this call.` : message;
      throw new (error.constructor as ErrorClass)(text, details);
    }
  }

  /** Returns when the call may be tried again; throws its error when not. */
  async #retryAfterFailure(failure: WireFailure): Promise<void> {
    const { code, sent, status, cause } = failure;
    if (cause instanceof Cancelled) {
      throw this.#cancelled(cause, failure);
    }
    // A body that is streamed may refuse itself, when it is too long for one.
    if (cause instanceof MedplumError) {
      throw cause;
    }
    this.#fateUnknown ||= sent && !isRefusal(status);
    // A status line of success says that a write is done, even if the rest of the answer is lost.
    const happened = this.#writes() && isSuccess(status);
    const mayRepeat = !sent || (this.request.repeatability !== 'unsafe' && !happened);
    if (mayRepeat && !isFinal(code) && (await this.#backOff(undefined, code))) {
      return;
    }
    const effect = happened ? 'happened' : this.#effect();
    const again = this.#mayBeMadeAgain(effect) && !isInherent(code);
    throw failureError(this.request.call, failure, { status, effect, retryable: again, cause });
  }

  /** Returns when the call may be tried again; throws its error when not. */
  async #retryAfterAnswer(answer: WireAnswer, authorization: string | undefined): Promise<void> {
    const { status } = answer;
    const outcome = parseOutcome(answer.text);
    if (status === 401 && !this.#renewed && authorization !== undefined && !this.request.once) {
      this.#renewed = true;
      if (await this.#fromCredentials(this.options.credentials.renew(authorization))) {
        this.request.span?.retrying('credentials');
        return;
      }
    }
    // A server or gateway that failed does not say how far a write came, and one that redirects may have done it.
    this.#fateUnknown ||= !isRefusal(status);
    const gateway = status === 502 || status === 503 || status === 504;
    const wait = status === 429 || gateway ? retryAfter((name) => answer.header(name), outcome) : undefined;
    const conflict = status === 409 && isSerializationConflict(outcome);
    const busy = status === 429 || conflict;
    const why = conflict ? '40001' : String(status);
    if ((busy || (gateway && this.request.repeatability !== 'unsafe')) && (await this.#backOff(wait, why))) {
      return;
    }
    throw this.#errorFor(answer, outcome, busy, wait);
  }

  #errorFor(
    answer: WireAnswer,
    outcome: OperationOutcome | undefined,
    busy: boolean,
    wait: number | undefined,
  ): MedplumError {
    const { request } = this;
    const { status } = answer;
    const effect = this.#effect();
    const error =
      effect === 'unknown' && (status === 412 || status === 404 || status === 410)
        ? new UnknownEffectError(
            `${request.call} was answered with ${status} after an attempt whose fate is unknown: that attempt may have caused it. Read the resource before you decide.`,
            { status, outcome },
          )
        : responseError(
            {
              status,
              call: request.call,
              outcome,
              empty: answer.text === '',
              conditional: 'if-none-match' in request.headers || 'if-modified-since' in request.headers,
              onBehalfOf: request.onBehalfOf !== undefined,
              retryAfter: wait,
            },
            { effect, retryable: this.#mayBeMadeAgain(effect) && (busy || status >= 502) },
          );
    error.attachRequestId(requestIdOf(answer.header('x-request-id'), outcome));
    return error;
  }

  /** Waits for the next try, if there may be one: by the server's wish, else with full jitter. */
  async #backOff(asked: number | undefined, why: string): Promise<boolean> {
    const { maxRetries, minTimeout, maxTimeout } = { ...this.options.retry, ...this.request.retry };
    const step = Math.min(maxTimeout, minTimeout * 2 ** this.#retries);
    const delay = asked === undefined ? Math.random() * step : asked + Math.random() * minTimeout;
    if (
      this.request.once ||
      this.#retries >= maxRetries ||
      (asked ?? 0) > maxTimeout ||
      delay >= this.deadline.remaining ||
      !this.budget.take()
    ) {
      return false;
    }
    this.#retries++;
    this.request.span?.retrying(why);
    return this.deadline.sleep(delay);
  }

  #writes(): boolean {
    return this.request.repeatability !== 'safe';
  }

  #effect(): MedplumEffect {
    return this.#writes() && this.#fateUnknown ? 'unknown' : 'none';
  }

  /** Whether the caller may make the call again without anything being done twice. */
  #mayBeMadeAgain(effect: MedplumEffect): boolean {
    return effect === 'none' || (effect === 'unknown' && this.request.repeatability === 'once-by-identifier');
  }
}

/** Name and value in turn. The library's own come last, one value each. */
function headersOf({ headers, extended, onBehalfOf, answer }: TransportRequest, compression: boolean): string[] {
  const list: string[] = [];
  for (const name in headers) {
    list.push(name, headers[name] ?? '');
  }
  if (compression && answer !== 'stream') {
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

function isSuccess(status: number | undefined): boolean {
  return status !== undefined && status >= 200 && status < 300;
}

/** Where to look for the result of a request that was carried out (RFC 9110 section 15.4.4). */
const SEE_OTHER = 303;

/** Whether the server said that it does not do what was asked. */
function isRefusal(status: number | undefined): boolean {
  return status !== undefined && status >= 300 && status < 500 && status !== SEE_OTHER;
}

function parseOutcome(text: string): OperationOutcome | undefined {
  try {
    return asOperationOutcome(JSON.parse(text));
  } catch {
    return undefined;
  }
}
