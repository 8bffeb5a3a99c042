import { context, type Context, metrics, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { UndiciInstrumentation, type UndiciInstrumentationConfig } from '@opentelemetry/instrumentation-undici';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

/** One measurement as it was exported. */
export interface ExportedPoint {
  readonly name: string;
  readonly unit: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly value: unknown;
}

/**
 * An OpenTelemetry SDK as an app starts it, with global providers, propagators and undici's instrumentation. It keeps its
 * exports in memory. Close it in `afterEach`, because a process can have only one.
 */
export class Telemetry {
  readonly #spans = new InMemorySpanExporter();
  readonly #metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  readonly #contexts = new AsyncLocalStorageContextManager();
  readonly #instrumentation: UndiciInstrumentation;
  readonly tracers = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: this.#spans })] });
  readonly meters = new MeterProvider({
    // The interval (in ms) is so long that metrics are exported only when a test asks.
    readers: [new PeriodicExportingMetricReader({ exporter: this.#metrics, exportIntervalMillis: 3_600_000 })],
  });

  constructor(undici: UndiciInstrumentationConfig = {}) {
    context.setGlobalContextManager(this.#contexts.enable());
    trace.setGlobalTracerProvider(this.tracers);
    metrics.setGlobalMeterProvider(this.meters);
    propagation.setGlobalPropagator(
      new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
    );
    this.#instrumentation = new UndiciInstrumentation(undici);
    this.#instrumentation.setTracerProvider(this.tracers);
    this.#instrumentation.setMeterProvider(this.meters);
  }

  /** All exported spans, in the order in which they ended. */
  get spans(): readonly ReadableSpan[] {
    return this.#spans.getFinishedSpans();
  }

  /** Spans of the library. */
  get ours(): readonly ReadableSpan[] {
    return this.spans.filter(({ instrumentationScope }) => instrumentationScope.name === 'nestjs-medplum');
  }

  /** Spans of undici's instrumentation. */
  get undicis(): readonly ReadableSpan[] {
    return this.spans.filter(({ instrumentationScope }) => instrumentationScope.name.includes('undici'));
  }

  /** Exports the metrics now and returns every measurement. */
  async points(): Promise<ExportedPoint[]> {
    this.#metrics.reset();
    await this.meters.forceFlush();
    return this.#metrics
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics)
      .flatMap((scope) => scope.metrics)
      .flatMap(({ descriptor: { name, unit }, dataPoints }) =>
        dataPoints.map(({ attributes, value }) => ({ name, unit, attributes, value })),
      );
  }

  /** Everything that was exported, as one text: all spans and measurements with all their data. */
  async everything(): Promise<string> {
    const spans = this.spans.map((span) => ({
      name: span.name,
      context: { ...span.spanContext(), traceState: span.spanContext().traceState?.serialize() },
      attributes: span.attributes,
      events: span.events,
      links: span.links,
      status: span.status,
      resource: span.resource.attributes,
      scope: span.instrumentationScope,
    }));
    const points = await this.points();
    return JSON.stringify({ spans, points, metrics: this.#metrics.getMetrics() });
  }

  /** Runs `fn` in a new trace with this baggage. Returns the ids of the trace and span, and the result of `fn`. */
  async inTrace<T>(
    name: string,
    fn: () => Promise<T>,
    baggage: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly traceId: string; readonly spanId: string; readonly result: T }> {
    const span = this.tracers.getTracer('the app').startSpan(name, {}, ROOT_CONTEXT);
    const entries = Object.entries(baggage).map(([key, value]) => [key, { value }] as const);
    const around: Context = propagation.setBaggage(
      trace.setSpan(ROOT_CONTEXT, span),
      propagation.createBaggage(Object.fromEntries(entries)),
    );
    try {
      return { ...span.spanContext(), result: await context.with(around, fn) };
    } finally {
      span.end();
    }
  }

  async close(): Promise<void> {
    this.#instrumentation.disable();
    trace.disable();
    metrics.disable();
    propagation.disable();
    context.disable();
    this.#contexts.disable();
    await Promise.all([this.tracers.shutdown(), this.meters.shutdown()]);
  }
}
