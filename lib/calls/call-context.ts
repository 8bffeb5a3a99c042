import { randomUUID } from 'node:crypto';
import type { AuditedCall } from '../audit/audit-trail';
import type { FhirRequest } from '../fhir/fhir-request';
import { Cancelled, Deadline, type RunningCalls } from '../http/deadline';
import { cancelledError } from '../http/failure-error';
import type { Identity } from '../on-behalf-of/identity';
import type { IdentityResolver } from '../on-behalf-of/identity-resolver';
import type { InboundRequest } from '../on-behalf-of/inbound-request';
import { MAX_MILLISECONDS } from '../shared/milliseconds';
import { callerHeaders } from './caller-headers';
import type { MedplumConnection } from './connection';
import { checkRequestOptions, type MedplumRequestOptions } from './request.options';

/** @internal Says who a call acts as, and which inbound request it serves. */
export type CallIdentitySource = Pick<IdentityResolver, 'pin'> &
  Partial<Pick<IdentityResolver, 'inbound' | 'isAfterScope'>>;

/** @internal How a method uses its options. */
export interface OptionUse {
  /** Names of the options that the method takes besides those of every call. */
  readonly further?: readonly string[];
  /** What the option `timeout` limits: each request of the method (default), or all of them together. */
  readonly timeout?: 'each' | 'whole';
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
  /** Why no request of the method is sent. */
  readonly refusal: unknown;
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
    this.#wholeSince = use.timeout === 'whole' ? performance.now() : undefined;
    this.audited = connection.trail.capture();
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
