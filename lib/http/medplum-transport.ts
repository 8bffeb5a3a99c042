import type { OperationOutcome } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { type MedplumEffect, MedplumError } from '../errors/medplum.error';
import { MedplumProtocolError, MedplumRateLimitError, UnknownEffectError } from '../errors/response.errors';
import { MedplumAbortError, MedplumConnectionError, MedplumTimeoutError } from '../errors/transport.errors';
import type { BaseUrl } from './base-url';
import type { Credentials } from './credentials';
import { Cancelled, Deadline } from './deadline';
import { DownloadStream } from './download-stream';
import type { MedplumDispatcher, MedplumDispatcherRequest, MedplumDispatcherResponse } from './medplum-dispatcher';
import { type RequestAttempt, WireAttempt } from './request-attempt';
import {
  asOperationOutcome,
  type ErrorClass,
  isSerializationConflict,
  requestIdOf,
  responseError,
} from './response-error';
import type { MedplumRetryOptions } from './retry.options';
import { retryAfter } from './retry-after';
import { failureCode, neverSent, poolClosed } from './transport-failure';

/**
 * What may be done with a request whose attempt failed in a way that leaves its fate open: `safe`, it changes nothing,
 * so repeat it; `once-by-identifier`, a conditional create whose condition is an identifier that its body carries, so
 * the server recognises the repetition; `unsafe`, never repeat it.
 */
export type Repeatability = 'safe' | 'once-by-identifier' | 'unsafe';

/** How a successful answer is read. */
export type AnswerKind = 'object' | 'any' | 'stream';

/** One logical request. The identity is an argument like any other: nothing below the service looks one up. */
export interface TransportRequest {
  readonly method: MedplumDispatcherRequest['method'];
  /** Relative to the base URL, without a leading slash, already encoded, with query. */
  readonly path: string;
  /** `GET /fhir/R4/Patient/{id}`: how error texts name the request. */
  readonly call: string;
  /** Lower-case names. The transport adds its own three last. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: MedplumDispatcherRequest['body'] | undefined;
  readonly repeatability: Repeatability;
  /** The body can be read once only, so no attempt follows the first, whatever became of it. */
  readonly once?: boolean | undefined;
  /** What is expected: a JSON object (default), JSON or text as the content type says, or content to be streamed. */
  readonly answer?: AnswerKind | undefined;
  /** For streams: the most bytes that are read. */
  readonly maxBytes?: number | undefined;
  /** Value of `X-Medplum-On-Behalf-Of`, validated; `undefined` sends no header. */
  readonly onBehalfOf: string | undefined;
  /** Sends `X-Medplum: extended`. */
  readonly extended: boolean;
  readonly signal?: AbortSignal | undefined;
  /** For the whole call, in ms. */
  readonly timeout: number;
}

/** A successful answer. */
export interface TransportResponse {
  readonly status: number;
  /** Parsed JSON, text or a {@link DownloadStream}, as was asked for; `undefined` when there was no body. */
  readonly body: unknown;
  readonly requestId: string | undefined;
  /** A header of the answer by its lower-case name; several lines are joined by commas. */
  readonly header: (name: string) => string | undefined;
}

/** What a transport is made of. */
export interface TransportOptions {
  readonly baseUrl: BaseUrl;
  readonly dispatcher: MedplumDispatcher;
  readonly credentials: Credentials;
  readonly retry: Required<MedplumRetryOptions>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  /** The body, when it is to be streamed: `text` is empty then. */
  readonly stream?: DownloadStream;
  readonly header: (name: string) => string | undefined;
}

/** An attempt without a usable answer. */
class Failure {
  constructor(
    readonly code: string,
    /** The request may have reached the server. */
    readonly sent: boolean,
    /** The status line had been read: the server has decided. */
    readonly status: number | undefined,
    readonly cause: unknown,
  ) {}
}

/** Sends requests: attempts, one deadline, and retries of what is safe. It knows neither Nest nor any scope. */
export class MedplumTransport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /**
   * Sends one request and reads its answer. Each wire attempt is added to `attempts`, whatever comes of it.
   *
   * @throws MedplumError of the class that fits, with its `effect`.
   */
  async send(request: TransportRequest, attempts: RequestAttempt[]): Promise<TransportResponse> {
    const deadline = new Deadline(request.timeout, request.signal);
    const call = new Call(request, this.#options, deadline, attempts);
    let response: TransportResponse | undefined;
    try {
      return (response = await call.run());
    } catch (error) {
      throw error instanceof Cancelled ? call.cancelled(error) : error;
    } finally {
      // A stream goes on under the same deadline, and lets go of it when it ends.
      if (!(response?.body instanceof DownloadStream)) {
        deadline.dispose();
      }
    }
  }
}

/** The state of one call while it runs. */
class Call {
  /** An attempt failed after the request may have reached the server. */
  #fateUnknown = false;
  /** What is known of the attempt that is under way: nothing, or the status that its answer began with. */
  #underWay: { status?: number } | undefined;
  #retries = 0;
  #renewed = false;

  constructor(
    private readonly request: TransportRequest,
    private readonly options: TransportOptions,
    private readonly deadline: Deadline,
    private readonly attempts: RequestAttempt[],
  ) {}

  async run(): Promise<TransportResponse> {
    for (;;) {
      const pending = this.options.credentials.authorization();
      const authorization = pending instanceof Promise ? await this.#fromCredentials(pending) : pending;
      const result = await this.#attempt(authorization);
      if (result instanceof Failure) {
        await this.#retryAfterFailure(result);
      } else if (isSuccess(result.status)) {
        return this.#success(result);
      } else {
        await this.#retryAfterAnswer(result, authorization);
      }
    }
  }

  /** The error for a call that was given up from our side. */
  cancelled({ reason }: Cancelled): MedplumError {
    if (this.#underWay && !isRefusal(this.#underWay.status)) {
      this.#fateUnknown = true;
    }
    const effect = this.#writes() && isSuccess(this.#underWay?.status) ? 'happened' : this.#effect();
    const details = { effect, retryable: this.#mayBeMadeAgain(effect) && reason === 'timeout' };
    return reason === 'timeout'
      ? new MedplumTimeoutError(
          `${this.request.call} was not answered within its timeout of ${this.request.timeout} ms, retries included.`,
          details,
        )
      : new MedplumAbortError(`${this.request.call} was aborted by its signal.`, details);
  }

  async #attempt(authorization: string | undefined): Promise<Answer | Failure> {
    const { request, deadline } = this;
    const { origin, path } = this.options.baseUrl;
    const headers: Record<string, string> = { ...request.headers };
    if (request.extended) {
      headers['x-medplum'] = 'extended';
    }
    if (request.onBehalfOf !== undefined) {
      headers['x-medplum-on-behalf-of'] = request.onBehalfOf;
    }
    if (authorization !== undefined) {
      headers['authorization'] = authorization;
    }
    const startedAt = performance.now();
    if (deadline.reason) {
      throw deadline.reason;
    }
    let error: string | undefined;
    const { dispatcher } = this.options;
    const destroyed = dispatcher.destroyed === true;
    const progress: { status?: number } = {};
    this.#underWay = progress;
    try {
      const response: MedplumDispatcherResponse = await deadline.race(
        dispatcher.request({
          origin,
          path: path + request.path,
          method: request.method,
          headers,
          ...(request.body === undefined ? {} : { body: request.body }),
          signal: deadline,
        }),
      );
      progress.status = response.statusCode;
      const header = (name: string): string | undefined => joined(response.headers[name]);
      if (request.answer === 'stream' && isSuccess(progress.status)) {
        const stream = this.#stream(response, header);
        this.#underWay = undefined;
        return { status: progress.status, text: '', stream, header };
      }
      const text = await deadline.race(response.body.text());
      this.#underWay = undefined;
      return { status: progress.status, text, header };
    } catch (cause) {
      if (cause instanceof MedplumError) {
        error = cause.code;
        throw cause;
      }
      if (cause instanceof Cancelled) {
        error = cause.reason === 'timeout' ? 'TIMEOUT' : 'ABORTED';
        throw cause;
      }
      this.#underWay = undefined;
      error = failureCode(cause);
      return new Failure(error, !destroyed && !neverSent(cause), progress.status, cause);
    } finally {
      const duration = performance.now() - startedAt;
      this.attempts.push(
        new WireAttempt(this.attempts.length + 1, duration, request.onBehalfOf ?? null, {
          status: progress.status,
          error,
        }),
      );
    }
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
      throw new (error.constructor as ErrorClass)(error.message, details);
    }
  }

  /** The content of an answer, limited in size and time. */
  #stream(response: MedplumDispatcherResponse, header: (name: string) => string | undefined): DownloadStream {
    const { call, maxBytes, timeout } = this.request;
    const limits = { call, maxBytes, timeout };
    return new DownloadStream(response.body, header('content-length'), this.deadline, limits);
  }

  #success({ status, text, stream, header }: Answer): TransportResponse {
    const requestId = requestIdOf(header('x-request-id'), undefined);
    if (stream) {
      return { status, body: stream, requestId, header };
    }
    if (this.request.answer === 'any' && !/[/+]json\b/i.test(header('content-type') ?? '')) {
      return { status, body: text === '' ? undefined : text, requestId, header };
    }
    const details = { status, effect: this.#writes() ? 'happened' : 'none' } as const;
    const answered = `${this.request.call} was answered with ${status}`;
    let body: unknown;
    if (text !== '') {
      try {
        body = JSON.parse(text);
      } catch (cause) {
        throw new MedplumProtocolError(`${answered}, but the body is no JSON.`, { ...details, cause });
      }
    }
    // An empty body is an answer to a write: 204, or Prefer: return=minimal.
    const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
    if (!isObject && this.request.answer !== 'any' && (text !== '' || !this.#writes())) {
      throw new MedplumProtocolError(`${answered}, but the body is no JSON object.`, details);
    }
    return { status, body, requestId, header };
  }

  /** Returns when the call may be tried again; throws its error when not. */
  async #retryAfterFailure({ code, sent, status, cause }: Failure): Promise<void> {
    this.#fateUnknown ||= sent && !isRefusal(status);
    // A status line of success says that a write is done, even if the rest of the answer is lost.
    const happened = this.#writes() && isSuccess(status);
    const mayRepeat = !sent || (this.request.repeatability !== 'unsafe' && !happened);
    if (mayRepeat && !poolClosed(code) && (await this.#backOff(undefined))) {
      return;
    }
    const effect = happened ? 'happened' : this.#effect();
    const details = { status, effect, retryable: this.#mayBeMadeAgain(effect), cause };
    throw status === undefined
      ? new MedplumConnectionError(
          sent
            ? `${this.request.call}: the connection to the server broke (${code}).`
            : `${this.request.call}: the server could not be reached (${code}). Check baseUrl and the network.`,
          details,
        )
      : new MedplumProtocolError(
          `${this.request.call} was answered with ${status}, but the body was cut off (${code}).`,
          details,
        );
  }

  /** Returns when the call may be tried again; throws its error when not. */
  async #retryAfterAnswer(answer: Answer, authorization: string | undefined): Promise<void> {
    const { status } = answer;
    const outcome = parseOutcome(answer.text);
    if (status === 401 && !this.#renewed && authorization !== undefined && !this.request.once) {
      this.#renewed = true;
      if (await this.#fromCredentials(this.options.credentials.renew(authorization))) {
        return;
      }
    }
    // A server or gateway that failed does not say how far a write came.
    this.#fateUnknown ||= status >= 500;
    const gateway = status === 502 || status === 503 || status === 504;
    const wait = status === 429 || gateway ? retryAfter(answer.header, outcome) : undefined;
    const busy = status === 429 || (status === 409 && isSerializationConflict(outcome));
    if ((busy || (gateway && this.request.repeatability !== 'unsafe')) && (await this.#backOff(wait))) {
      return;
    }
    throw this.#errorFor(answer, outcome, busy, wait);
  }

  #errorFor(
    answer: Answer,
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
              onBehalfOf: request.onBehalfOf !== undefined,
              retryAfter: wait,
            },
            { effect, retryable: this.#mayBeMadeAgain(effect) && (busy || status >= 502) },
          );
    error.attachRequestId(requestIdOf(answer.header('x-request-id'), outcome));
    return error;
  }

  /** Waits for the next try, if there may be one: by the server's wish, else with full jitter. */
  async #backOff(asked: number | undefined): Promise<boolean> {
    const { maxRetries, minTimeout, maxTimeout } = this.options.retry;
    const step = Math.min(maxTimeout, minTimeout * 2 ** this.#retries);
    const delay = asked === undefined ? Math.random() * step : asked + Math.random() * minTimeout;
    if (
      this.request.once ||
      this.#retries >= maxRetries ||
      (asked ?? 0) > maxTimeout ||
      delay >= this.deadline.remaining
    ) {
      return false;
    }
    this.#retries++;
    await this.deadline.sleep(delay);
    return true;
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

function isSuccess(status: number | undefined): boolean {
  return status !== undefined && status >= 200 && status < 300;
}

/** Whether the server said that it does not do what was asked. */
function isRefusal(status: number | undefined): boolean {
  return status !== undefined && status >= 300 && status < 500;
}

function parseOutcome(text: string): OperationOutcome | undefined {
  try {
    return asOperationOutcome(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Two `RateLimit` lines arrive as an array; everything reads them joined, as RFC 9110 section 5.3 has it. */
function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
