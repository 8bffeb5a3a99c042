import { type Context, defaultTextMapSetter, ROOT_CONTEXT, type Span, SpanStatusCode, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import type { CallSpan, TracedCall, TracedEnd } from '../../http/call-tracing';
import type { RequestAttempt } from '../../shared/request-attempt';
import { ATTRIBUTE, present } from './attributes';
import type { CallMetrics } from './call-metrics';

/** Medplum reads W3C Trace Context, whatever the app uses elsewhere. Baggage is not sent, because it may hold PHI. */
const PROPAGATOR = new W3CTraceContextPropagator();

/** A header value by RFC 9110 section 5.5. An empty or malformed tracestate is dropped, so that it cannot fail a call. */
const HEADER_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/** The caller gave up the call. The semantic conventions do not count that as an error. */
const ABORTED = 'MEDPLUM_ABORT';

/** The span of one call. It feeds the metrics as well. */
export class OpenTelemetrySpan implements CallSpan {
  readonly headers: Readonly<Record<string, string>>;
  readonly #began = performance.now();
  #attempts = 0;

  /** @param parent the context in which the method was called. */
  constructor(
    private readonly call: TracedCall,
    private readonly span: Span,
    private readonly metrics: CallMetrics,
    private readonly parent: Context,
  ) {
    const headers: Record<string, string> = {};
    PROPAGATOR.inject(trace.setSpan(ROOT_CONTEXT, span), headers, defaultTextMapSetter);
    this.headers = Object.fromEntries(Object.entries(headers).filter(([, value]) => HEADER_VALUE.test(value)));
  }

  attempted({ attempt, status, error }: Pick<RequestAttempt, 'attempt' | 'status' | 'error'>): void {
    this.#attempts = attempt;
    this.span.addEvent(
      'medplum.attempt',
      present({ [ATTRIBUTE.attempt]: attempt, [ATTRIBUTE.status]: status, [ATTRIBUTE.error]: error }),
    );
  }

  retrying(reason: string): void {
    this.span.addEvent('medplum.retry', { [ATTRIBUTE.retryReason]: reason });
    this.metrics.retrying(this.call, reason, this.parent);
  }

  ended(end: TracedEnd): void {
    const { status, effect, error } = end;
    const resends = this.#attempts > 1 ? this.#attempts - 1 : undefined;
    this.span.setAttributes(
      present({
        [ATTRIBUTE.status]: status,
        [ATTRIBUTE.error]: error,
        [ATTRIBUTE.effect]: effect,
        [ATTRIBUTE.resends]: resends,
      }),
    );
    // The status has no message, and no exception is recorded: both would carry text that may hold PHI.
    if (error !== undefined && error !== ABORTED) {
      this.span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.span.end();
    this.metrics.ended(this.call, end, (performance.now() - this.#began) / 1000, this.parent);
  }
}
