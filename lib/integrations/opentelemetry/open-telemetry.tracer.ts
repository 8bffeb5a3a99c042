import {
  context,
  type MeterProvider,
  ROOT_CONTEXT,
  SpanKind,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api';
import { suppressTracing } from '@opentelemetry/core';
import type { CallSpanStart, CallTracer, TracedQuota } from '../../http/call-tracing';
import { nameOf, spanAttributes } from './attributes';
import { CallMetrics } from './call-metrics';
import { OpenTelemetrySpan } from './open-telemetry.span';

/** Name of the instrumentation scope. */
const SCOPE = 'nestjs-medplum';

/**
 * The context in which requests are handed to undici. It suppresses tracing, so that no instrumentation makes a span or
 * adds a header. It starts from the root, so that a propagator that ignores suppression finds no span and no baggage.
 */
const QUIET = suppressTracing(ROOT_CONTEXT);

/** Traces calls with OpenTelemetry. */
export class OpenTelemetryTracer implements CallTracer {
  readonly #tracer: Tracer;
  readonly #metrics: CallMetrics;

  /** @param quotas by the name of the client. */
  constructor(tracers: TracerProvider, meters: MeterProvider, quotas: ReadonlyMap<string, () => TracedQuota>) {
    this.#tracer = tracers.getTracer(SCOPE);
    this.#metrics = new CallMetrics(meters.getMeter(SCOPE), quotas);
  }

  pin(): CallSpanStart {
    const parent = context.active();
    return (call) => {
      const options = { kind: SpanKind.CLIENT, attributes: spanAttributes(call) };
      const span = this.#tracer.startSpan(nameOf(call), options, parent);
      return new OpenTelemetrySpan(call, span, this.#metrics, parent);
    };
  }

  quietly<T>(fn: () => T): T {
    return context.with(QUIET, fn);
  }
}
