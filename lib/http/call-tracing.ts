import type { MedplumEffect, MedplumError } from '../errors/medplum.error';
import type { RequestAttempt } from '../shared/request-attempt';

/** What a trace may say of a call: nothing in it names a record, a person or a value. */
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
  /** Why the identity, or none, is used; never whose it is. */
  readonly identitySource: string | undefined;
}

/** How a call ended. */
export interface TracedEnd {
  /** HTTP status of the last answer, if there was one. */
  readonly status: number | undefined;
  readonly effect: MedplumEffect;
  /** The code of what the caller got instead of a result: `MEDPLUM_…`. */
  readonly error: MedplumError['code'] | undefined;
}

/** One call as it is traced, from the calling of a method to its result. */
export interface CallSpan {
  /** What tells the server which trace the call belongs to (lower-case names); empty when there is none. */
  readonly headers: Readonly<Record<string, string>>;
  /** One request of the call was answered, or failed. */
  attempted(attempt: Pick<RequestAttempt, 'attempt' | 'status' | 'error'>): void;
  /** The call is about to be tried again. @param reason a status, or the code of an error. */
  retrying(reason: string): void;
  /** The last thing that is heard of a call; for content that is streamed, when the stream has ended. */
  ended(end: TracedEnd): void;
}

/** Begins the span of a call. */
export type CallSpanStart = (call: TracedCall) => CallSpan;

/** Watches calls. What it learns of them is in its arguments; what it throws, the caller of a method gets. */
export interface CallTracer {
  /** To be called synchronously when a method is called: its spans are then part of the trace of its caller. */
  pin(): CallSpanStart;
  /** Calls `fn`, which hands a request over to undici, so that instrumentations make no span of it and add no header. */
  quietly<T>(fn: () => T): T;
}

/** Whether, and by whom, the calls of an app are traced. There is one in an app, shared by all clients. */
export class CallTracing {
  /** Set while the app starts, by the integration that traces; unset in an app that imports none. */
  tracer: CallTracer | undefined;
}
