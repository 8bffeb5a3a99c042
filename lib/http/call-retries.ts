import type { OperationOutcome } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { type MedplumEffect, MedplumError } from '../errors/medplum.error';
import { MedplumRateLimitError, UnknownEffectError } from '../errors/response.errors';
import type { RequestAttempt } from '../shared/request-attempt';
import { Cancelled, type Deadline } from './deadline';
import { cancelledError, failureError, isFinal, isInherent } from './failure-error';
import {
  asOperationOutcome,
  type ErrorClass,
  type ErrorResponse,
  isIdentityRefusal,
  isSerializationConflict,
  markResponse,
  mayHaveRun,
  requestIdOf,
  responseError,
  type ResponseOrigin,
} from './response-error';
import { retryAfter } from './retry-after';
import type { TransportOptions, TransportRequest } from './transport.types';
import type { WireFailure, WireResponse } from './wire';

/** What one call does after an attempt that did not succeed: it is tried again, or fails with the typed error. */
export class CallRetries {
  readonly #request: TransportRequest;
  readonly #options: TransportOptions;
  readonly #deadline: Deadline;
  readonly #attempts: readonly RequestAttempt[];
  readonly #budget: { take(): boolean };
  /** An attempt failed after the request may have reached the server. */
  #fateUnknown = false;
  #retries = 0;
  #renewed = false;

  /**
   * @param attempts those made so far.
   * @param budget holds the retries that all calls of the client share.
   */
  constructor(
    request: TransportRequest,
    options: TransportOptions,
    deadline: Deadline,
    attempts: readonly RequestAttempt[],
    budget: { take(): boolean },
  ) {
    this.#request = request;
    this.#options = options;
    this.#deadline = deadline;
    this.#attempts = attempts;
    this.#budget = budget;
  }

  /**
   * The error of a call that was cancelled, during `attempt` or between two attempts.
   *
   * @param why what did not happen in time. Default: the response.
   */
  cancelled({ reason }: Cancelled, attempt: WireFailure | undefined, why?: string): MedplumError {
    this.#fateUnknown ||= attempt?.sent === true && !this.#isRefusal(attempt.status);
    const status = attempt?.status;
    const effect = this.#writes() && isSuccess(status) ? 'happened' : this.#effect();
    const again = reason === 'timeout' || reason === 'shutdown';
    const details = { status, effect, retryable: again && this.#mayBeMadeAgain(effect) };
    const { call, timeout } = this.#request;
    const late = why ?? `was not answered within its timeout of ${timeout} ms, retries included.`;
    return cancelledError(reason, call, late, details);
  }

  /**
   * Waits for the credentials. All calls that wait for the same credentials get one error when these fail. An error names
   * its call, so each call throws its own, with the effect of its own attempts.
   */
  async awaitCredentials<T>(pending: Promise<T>): Promise<T> {
    try {
      return await this.#deadline.race(pending);
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
      const text = this.#attempts.length === 0 ? `${message} Nothing was sent for this call.` : message;
      throw new (error.constructor as ErrorClass)(text, details);
    }
  }

  /**
   * Called after an attempt without a usable response. Returns when the call may be tried again.
   *
   * @throws MedplumError when it may not.
   */
  async afterFailure(failure: WireFailure): Promise<void> {
    const { code, sent, status, cause } = failure;
    if (cause instanceof Cancelled) {
      throw this.cancelled(cause, failure);
    }
    // A streamed request body fails with an error of its own when it is too long.
    if (cause instanceof MedplumError) {
      throw cause;
    }
    this.#fateUnknown ||= sent && !this.#isRefusal(status);
    // A success status says that a write is done, even if the rest of the response is lost.
    const happened = this.#writes() && isSuccess(status);
    const mayRepeat = !sent || (this.#request.repeatability !== 'unsafe' && !happened);
    if (mayRepeat && !isFinal(code) && (await this.#backOff(undefined, code))) {
      return;
    }
    const effect = happened ? 'happened' : this.#effect();
    const again = this.#mayBeMadeAgain(effect) && !isInherent(code);
    throw failureError(this.#request.call, failure, { status, effect, retryable: again, cause });
  }

  /**
   * Called after a response that is not a success. Returns when the call may be tried again.
   *
   * @throws MedplumError when it may not.
   */
  async afterResponse(response: WireResponse, authorization: string | undefined): Promise<void> {
    const { status } = response;
    const outcome = parseOutcome(response.text);
    if (status === 401 && !this.#renewed && authorization !== undefined && !this.#request.once) {
      this.#renewed = true;
      if (await this.awaitCredentials(this.#options.credentials.renew(authorization))) {
        this.#request.span?.retrying('credentials');
        return;
      }
    }
    const origin = this.#originOf(response);
    const { onBehalfOf } = this.#request;
    const refusesIdentity = onBehalfOf !== undefined && isIdentityRefusal(status, outcome, origin);
    const ran = !refusesIdentity && this.#writes() && mayHaveRun(status, outcome, origin);
    // A failed server or gateway does not say how far a write came, and one that redirects may have carried it out.
    this.#fateUnknown ||= !isRefusal(status) || ran;
    const gateway = status === 502 || status === 503 || status === 504;
    const wait = status === 429 || gateway ? retryAfter((name) => response.header(name), outcome) : undefined;
    const conflict = status === 409 && isSerializationConflict(outcome);
    const busy = status === 429 || conflict;
    const why = conflict ? '40001' : String(status);
    if ((busy || (gateway && this.#request.repeatability !== 'unsafe')) && (await this.#backOff(wait, why))) {
      return;
    }
    const error = this.#typedError(response, { outcome, retryAfter: wait, refusesIdentity, mayHaveRun: ran }, busy);
    error.attachRequestId(requestIdOf(response.header('x-request-id'), outcome));
    markResponse(error, true);
    throw error;
  }

  #typedError(
    { status, text }: WireResponse,
    known: Pick<ErrorResponse, 'outcome' | 'retryAfter' | 'refusesIdentity' | 'mayHaveRun'>,
    busy: boolean,
  ): MedplumError {
    const { call, headers } = this.#request;
    const effect = this.#effect();
    if (effect === 'unknown' && !known.mayHaveRun && (status === 412 || status === 404 || status === 410)) {
      return new UnknownEffectError(
        `${call} was answered with ${status} after an attempt whose effect is unknown: that attempt may have caused it. Read the resource before you decide.`,
        { status, outcome: known.outcome },
      );
    }
    const conditional = 'if-none-match' in headers || 'if-modified-since' in headers;
    return responseError(
      { ...known, status, call, empty: text === '', conditional },
      { effect, retryable: this.#mayBeMadeAgain(effect) && (busy || status >= 502) },
    );
  }

  /**
   * Waits before the next attempt: as long as the server asks, else with full jitter. Resolves to `false` when there may
   * be no further attempt.
   */
  async #backOff(asked: number | undefined, why: string): Promise<boolean> {
    const { maxRetries, minTimeout, maxTimeout } = { ...this.#options.retry, ...this.#request.retry };
    const step = Math.min(maxTimeout, minTimeout * 2 ** this.#retries);
    const delay = asked === undefined ? Math.random() * step : asked + Math.random() * minTimeout;
    if (
      this.#request.once ||
      this.#retries >= maxRetries ||
      (asked ?? 0) > maxTimeout ||
      delay >= this.#deadline.remaining ||
      !this.#budget.take()
    ) {
      return false;
    }
    this.#retries++;
    this.#request.span?.retrying(why);
    return this.#deadline.sleep(delay);
  }

  #originOf(response: WireResponse): ResponseOrigin {
    return { rateLimited: response.header('ratelimit') !== undefined, operation: this.#request.operation };
  }

  /** Whether the status alone says that the server does not do what was asked. */
  #isRefusal(status: number | undefined): boolean {
    const { operation } = this.#request;
    return isRefusal(status) && !mayHaveRun(status, undefined, { rateLimited: false, operation });
  }

  #writes(): boolean {
    return this.#request.repeatability !== 'safe';
  }

  #effect(): MedplumEffect {
    return this.#writes() && this.#fateUnknown ? 'unknown' : 'none';
  }

  /** Whether the caller may make the call again without anything being done twice. */
  #mayBeMadeAgain(effect: MedplumEffect): boolean {
    return effect === 'none' || (effect === 'unknown' && this.#request.repeatability === 'once-by-identifier');
  }
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
