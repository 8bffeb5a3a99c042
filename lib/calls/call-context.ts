import { randomUUID } from 'node:crypto';
import type { AuditedCall } from '../audit/audit-trail';
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownName } from '../errors/shown';
import type { FhirRequest } from '../fhir/fhir-request';
import { interactionCost } from '../fhir/interaction-cost';
import { Cancelled, Deadline, type RunningCalls } from '../http/deadline';
import { cancelledError } from '../http/failure-error';
import type { Turn } from '../http/fair-shares';
import type { Identity } from '../on-behalf-of/identity';
import type { IdentityResolver } from '../on-behalf-of/identity-resolver';
import type { InboundRequest } from '../on-behalf-of/inbound-request';
import { isMilliseconds, MAX_MILLISECONDS } from '../shared/milliseconds';
import { callerHeaders } from './caller-headers';
import type { MedplumConnection } from './connection';
import type { MedplumRequestOptions } from './request.options';

const KEYS = ['onBehalfOf', 'signal', 'timeout', 'retry', 'headers', 'batchReads'];

const RETRY_KEYS = ['maxRetries', 'minTimeout', 'maxTimeout'];

/** @internal Says who a call acts as, and which inbound request it serves. */
export type CallIdentitySource = Pick<IdentityResolver, 'pin'> &
  Partial<Pick<IdentityResolver, 'inbound' | 'isAfterScope' | 'scope'>>;

/** @internal How a method uses its options. */
export interface OptionUse {
  /** Names of the options that the method takes besides those of every call. */
  readonly further?: readonly string[];
  /** What the option `timeout` limits: each request of the method (default), or all of them together. */
  readonly timeout?: 'each' | 'whole';
  /** The caller logs itself what the server refuses. */
  readonly logsItself?: true;
  /** Whose share of the quota the requests use; `'nobody'`: they do not queue. Default: that of their identity. */
  readonly share?: string;
}

/** @internal What is fixed synchronously when a public method is called, for every request that it makes. */
export class CallContext {
  readonly connection: MedplumConnection;
  readonly options: MedplumRequestOptions;
  /** The caller's headers, under lower-case names. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  /** The HTTP request that the caller serves. */
  readonly inbound: InboundRequest | undefined;
  readonly audited: AuditedCall;
  /** Its identity would come, or comes, from a scope that has ended. */
  readonly afterScope: boolean;
  /** The caller logs itself what the server refuses. */
  readonly logsItself: boolean;
  readonly #share: string | undefined;
  /** Why no request of the method is sent. */
  readonly refusal: unknown;
  /** One of the requests has written. */
  wrote = false;
  #identity: Identity | undefined;
  /** When the method was called, by the monotonic clock, if its timeout limits all of its requests together. */
  readonly #wholeSince: number | undefined;
  #operationId: string | undefined;

  /** Never throws: what is wrong becomes the error, and the event, of the first request. */
  constructor(
    connection: MedplumConnection,
    identity: CallIdentitySource,
    options: MedplumRequestOptions,
    use: OptionUse = {},
  ) {
    this.connection = connection;
    this.options = options;
    this.inbound = identity.inbound;
    this.logsItself = use.logsItself === true;
    this.#share = use.share;
    this.#wholeSince = use.timeout === 'whole' ? performance.now() : undefined;
    const around = identity.scope?.current?.identity;
    this.audited = connection.trail.capture(around?.onBehalfOf !== undefined || this.inbound !== undefined, around);
    this.afterScope = identity.isAfterScope === true && !('onBehalfOf' in Object(options));
    try {
      checkRequestOptions(options, use.further);
      this.options = { ...options };
      this.#identity = identity.pin(options);
      this.headers = options.headers && callerHeaders(options.headers);
    } catch (cause) {
      this.refusal = cause;
    }
  }

  /** Who the requests act as; `undefined` when nobody was named, which is refused. */
  get identity(): Identity | undefined {
    return this.#identity;
  }

  /** All requests of one method share it. */
  get operationId(): string {
    return (this.#operationId ??= randomUUID());
  }

  /** Whether requests get headers besides their own: the caller's, those of the client or of the inbound request. */
  get addsHeaders(): boolean {
    return (
      this.headers !== undefined || this.connection.settings.logTag !== undefined || this.inbound?.trace !== undefined
    );
  }

  /** Keeps the membership that the membership check found, for this request and all that follow. */
  actAs(identity: Identity): void {
    this.#identity = identity;
  }

  /**
   * How much of the call's time is left, in ms. All waiting counts.
   *
   * @param start when the request began, by the monotonic clock.
   */
  timeLeft(start: number): number {
    return Math.max(1, this.timeout - (performance.now() - (this.#wholeSince ?? start)));
  }

  /** The time limit of the call, in ms. */
  get timeout(): number {
    return this.options.timeout ?? this.connection.settings.timeout;
  }

  /** Aborts when the client of the inbound request hangs up. Writes are finished whoever hangs up. */
  disconnectFor(repeatability: FhirRequest['repeatability']): AbortSignal | undefined {
    return this.connection.settings.abortOnDisconnect && repeatability === 'safe'
      ? this.inbound?.disconnect
      : undefined;
  }

  /** Whose turn the request waits for. A sink's own calls do not wait: the calls that queue may be waiting for the sink. */
  turnOf(request: FhirRequest): Turn | undefined {
    if (!this.connection.shares || this.audited.fromSink || this.#share === 'nobody') {
      return undefined;
    }
    return { share: this.#share ?? this.#identity?.onBehalfOf ?? '', cost: interactionCost(request) };
  }

  /** Where the call registers, so that shutdown ends it. A sink's own calls do not: sinks are flushed after that. */
  get running(): RunningCalls | undefined {
    return this.audited.fromSink ? undefined : this.connection.running;
  }

  /**
   * Awaits `work` that precedes sending a request, within the limits of the call.
   *
   * @param start when the request began, by the monotonic clock.
   * @throws MedplumTimeoutError, MedplumAbortError, MedplumConnectionError when the call is given up meanwhile.
   */
  within<T>(work: Promise<T>, request: FhirRequest, start: number): Promise<T> {
    const deadline = this.#deadline(this.timeLeft(start), request.repeatability);
    const what = `${request.method} ${request.pathTemplate}`;
    return guarded(deadline, deadline.race(work), what, `could not be sent within its timeout of ${this.timeout} ms.`);
  }

  /**
   * Waits `ms` between two requests of a call. With the option `timeout` for all requests together, that limits the
   * wait as well.
   *
   * @param what names the wait in error messages.
   * @throws MedplumTimeoutError, MedplumAbortError, MedplumConnectionError when the call is given up meanwhile.
   */
  pause(ms: number, what: string): Promise<void> {
    const since = this.#wholeSince;
    const deadline = this.#deadline(since === undefined ? MAX_MILLISECONDS : this.timeLeft(since), 'safe');
    return guarded(deadline, sleep(deadline, ms), what, `did not end within the timeout of ${this.timeout} ms.`);
  }

  #deadline(ms: number, repeatability: FhirRequest['repeatability']): Deadline {
    return new Deadline(ms, this.options.signal, this.disconnectFor(repeatability), this.running);
  }
}

async function sleep(deadline: Deadline, ms: number): Promise<void> {
  if (!(await deadline.sleep(ms))) {
    throw new Cancelled('shutdown');
  }
}

/** Turns a cancellation of `work` into the typed error. */
async function guarded<T>(deadline: Deadline, work: Promise<T>, what: string, late: string): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    if (!(cause instanceof Cancelled)) {
      throw cause;
    }
    const retryable = cause.reason === 'timeout' || cause.reason === 'shutdown';
    throw cancelledError(cause.reason, what, late, { retryable });
  } finally {
    deadline.dispose();
  }
}

/**
 * @param further names of the options that the method takes besides those of every call.
 * @throws MedplumBadRequestError for an unknown key, and for a value of the wrong type.
 */
function checkRequestOptions(options: MedplumRequestOptions, further: readonly string[] = []): void {
  if (typeof options !== 'object' || options === null) {
    throw new MedplumBadRequestError('The last argument of a call must be an object of options.');
  }
  for (const key in options) {
    if (!KEYS.includes(key) && !further.includes(key)) {
      throw new MedplumBadRequestError(
        `${shownName(key)} is not an option of this call (known: ${[...KEYS, ...further].join(', ')}).`,
      );
    }
  }
  const { timeout, signal } = options;
  if (timeout !== undefined && !isMilliseconds(timeout)) {
    throw new MedplumBadRequestError('The timeout option must be a number of milliseconds between 1 and 2147483647.');
  }
  checkRetry(options.retry);
  if (options.batchReads !== undefined && typeof options.batchReads !== 'boolean') {
    throw new MedplumBadRequestError('The batchReads option must be true or false.');
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new MedplumBadRequestError('The signal option must be an AbortSignal.');
  }
}

function checkRetry(retry: unknown): void {
  if (retry === undefined) {
    return;
  }
  const entries =
    typeof retry === 'object' && retry !== null && !Array.isArray(retry) ? Object.entries(retry) : [['', 0]];
  for (const [key, value] of entries as [string, unknown][]) {
    const least = key === 'maxRetries' ? 0 : 1;
    const isNumber = typeof value === 'number' && value >= least && value <= MAX_MILLISECONDS;
    if (!RETRY_KEYS.includes(key) || !isNumber || (least === 0 && !Number.isInteger(value))) {
      throw new MedplumBadRequestError(
        'The retry option must be an object with maxRetries (a whole number, 0 or more), minTimeout and maxTimeout (milliseconds).',
      );
    }
  }
}
