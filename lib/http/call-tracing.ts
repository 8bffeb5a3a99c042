import type { MedplumEffect, MedplumError } from '../errors/medplum.error';
import type { RequestAttempt } from '../shared/request-attempt';
import type { MedplumQuotaRemaining } from './server-quota';

/** What a trace may say about a call. Nothing in it names a record, a person or a value. */
export interface TracedCall {
  /** Name of the client. */
  readonly client: string;
  /** Scheme, host and port of the server. */
  readonly origin: string;
  readonly method: string;
  /** With a leading slash, and placeholders instead of values. */
  readonly pathTemplate: string;
  readonly action: string;
  readonly resourceType: string | undefined;
  /** Name of the FHIR operation, with its `$`. */
  readonly operation: string | undefined;
  /** Where the identity of the call comes from, never the identity itself. */
  readonly identitySource: string | undefined;
}

/** How a call ended. */
export interface TracedEnd {
  /** HTTP status of the last response, if there was one. */
  readonly status: number | undefined;
  readonly effect: MedplumEffect;
  /** Code of the error that the caller got: `MEDPLUM_…`. */
  readonly error: MedplumError['code'] | undefined;
}

/** The span of one call, from the call of a method to its result. */
export interface CallSpan {
  /** Headers that tell the server which trace the call belongs to (lower-case names); empty when there is none. */
  readonly headers: Readonly<Record<string, string>>;
  /** One attempt of the call ended, with a response or with an error. */
  attempted(attempt: Pick<RequestAttempt, 'attempt' | 'status' | 'error'>): void;
  /** The call is about to be tried again. @param reason a status, or the code of an error. */
  retrying(reason: string): void;
  /** The call ended. For streamed content: the stream ended. Nothing follows. */
  ended(end: TracedEnd): void;
}

/** Starts the span of a call. */
export type CallSpanStart = (call: TracedCall) => CallSpan;

/** Traces calls. It learns about them only from its arguments. The caller of a method gets what it throws. */
export interface CallTracer {
  /** Call it synchronously when a method is called, so that its spans belong to the trace of the caller. */
  pin(): CallSpanStart;
  /** Calls `fn`, which passes a request to undici, in a way that instrumentations make no span for it and add no header. */
  quietly<T>(fn: () => T): T;
}

/** What metrics say about the quota of a client. */
export interface TracedQuota {
  readonly remaining?: MedplumQuotaRemaining;
  readonly running: number;
  readonly queued: number;
}

/** Holds the tracer of an app. All clients of the app share it. */
export class CallTracing {
  /** The tracing integration sets it while the app starts. `undefined` if the app imports none. */
  tracer: CallTracer | undefined;
  /** By the name of the client: what its quota is now. */
  readonly quotas = new Map<string, () => TracedQuota>();
}
