import { type DynamicModule, Inject, Module, Optional } from '@nestjs/common';
import { type MeterProvider, metrics, trace, type TracerProvider } from '@opentelemetry/api';
import { MedplumConfigError } from '../../errors/medplum-config.error';
import { CallTracing } from '../../http/call-tracing';
import { MedplumCoreModule } from '../../module/core.module';
import { OpenTelemetryTracer } from './open-telemetry.tracer';

/** Options of `MedplumOpenTelemetryModule.forRoot()`. */
export interface MedplumOpenTelemetryModuleOptions {
  /** Where spans go. Default: the global provider of `@opentelemetry/api`. */
  readonly tracerProvider?: TracerProvider | undefined;
  /** Where measurements go. Default: the global provider of `@opentelemetry/api`, as it is when the app starts. */
  readonly meterProvider?: MeterProvider | undefined;
}

const OPTIONS = Symbol.for('nestjs-medplum:opentelemetry-options');

/**
 * Makes spans and metrics of the calls of all Medplum clients in the app. Import it once, beside `MedplumModule`, and
 * start the OpenTelemetry SDK before the app. Without an SDK the module does nothing.
 *
 * - Each request that a method makes becomes one `CLIENT` span, for example `GET /fhir/R4/Patient/{id}`. The span
 *   includes all retries and belongs to the trace of whoever called the method. Attempts and retries are events of the
 *   span. Medplum receives the span's `traceparent`.
 * - `medplum.client.operation.duration` is a histogram in seconds, `medplum.client.operation.retries` a counter.
 * - `medplum.client.quota.remaining`, `medplum.client.requests.running` and `medplum.client.requests.queued` are gauges of each
 *   client.
 * - Neither carries record ids, values, identities, credentials or server texts. They carry the path template, the status,
 *   the error code, the attempts and the reason for each retry, the resource type, the operation, and where the identity
 *   came from.
 *
 * While the module is imported, other instrumentations of OpenTelemetry make no spans of the library's requests and add
 * nothing to them. The instrumentation of undici would record whole addresses. For the library's own connections this always
 * holds. If you pass a `dispatcher` that queues requests (`connections`), you need `ignoreRequestsTo` as well. Tools that
 * are not OpenTelemetry's, such as `@nestjs/observe`, always need it.
 *
 * @example
 * ```ts
 * @Module({ imports: [MedplumModule.forRoot({ clientId, clientSecret }), MedplumOpenTelemetryModule.forRoot()] })
 * export class AppModule {}
 * ```
 */
@Module({ imports: [MedplumCoreModule] })
export class MedplumOpenTelemetryModule {
  /** @internal */
  constructor(
    tracing: CallTracing,
    @Optional() @Inject(OPTIONS) { tracerProvider, meterProvider }: MedplumOpenTelemetryModuleOptions = {},
  ) {
    if (tracing.tracer) {
      throw new MedplumConfigError(
        'MedplumOpenTelemetryModule is imported twice, but one import covers all clients. Import it once, in the root module.',
      );
    }
    tracing.tracer = new OpenTelemetryTracer(
      tracerProvider ?? trace.getTracerProvider(),
      meterProvider ?? metrics.getMeterProvider(),
      tracing.quotas,
    );
  }

  /**
   * Configures the module with your own providers. The global ones stand in for those that you leave out.
   *
   * @throws MedplumConfigError at start-up when the module is imported a second time.
   */
  static forRoot(options: MedplumOpenTelemetryModuleOptions = {}): DynamicModule {
    return { module: MedplumOpenTelemetryModule, providers: [{ provide: OPTIONS, useValue: options }] };
  }
}
