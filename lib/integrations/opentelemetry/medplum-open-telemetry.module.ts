import { type DynamicModule, Inject, Module, Optional } from '@nestjs/common';
import { type MeterProvider, metrics, trace, type TracerProvider } from '@opentelemetry/api';
import { MedplumConfigError } from '../../errors/medplum-config.error';
import { CallTracing } from '../../http/call-tracing';
import { MedplumCoreModule } from '../../medplum-core.module';
import { OpenTelemetryTracer } from './open-telemetry.tracer';

/** Options of `MedplumOpenTelemetryModule.forRoot()`. */
export interface MedplumOpenTelemetryModuleOptions {
  /** Where spans go. Default: the global provider of `@opentelemetry/api`. */
  readonly tracerProvider?: TracerProvider;
  /** Where measurements go. Default: the global provider of `@opentelemetry/api`, as it is when the app starts. */
  readonly meterProvider?: MeterProvider;
}

const OPTIONS = Symbol.for('nestjs-medplum:opentelemetry-options');

/**
 * Spans and metrics of the calls of all Medplum clients of the app. Import it once, beside `MedplumModule`, and start the
 * OpenTelemetry SDK before the app; without an SDK nothing happens.
 *
 * - Each request that a method makes is one `CLIENT` span `GET /fhir/R4/Patient/{id}`, retries included, in the trace of
 *   whoever called the method; attempts and retries are its events. Medplum gets the `traceparent` of that span.
 * - `medplum.client.operation.duration` is a histogram in seconds, `medplum.client.operation.retries` a counter.
 * - Neither carries ids of records, values, identities, credentials or texts of the server: the path template, status,
 *   error code, attempts and why there were several, resource type, operation, and why an identity was used.
 *
 * While it is imported, other instrumentations make no spans of the requests of the library and send nothing with them:
 * that of undici would record whole addresses. This holds without exception for the library's own connections. A
 * `dispatcher` of yours that keeps requests waiting (`connections`) needs {@link ignoreRequestsTo} besides.
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
        'MedplumOpenTelemetryModule is imported twice. Import it once, in the root module: it is for all clients.',
      );
    }
    tracing.tracer = new OpenTelemetryTracer(
      tracerProvider ?? trace.getTracerProvider(),
      meterProvider ?? metrics.getMeterProvider(),
    );
  }

  /**
   * The module with providers of your own, or the global ones.
   *
   * @throws MedplumConfigError at start-up when the module is imported a second time.
   */
  static forRoot(options: MedplumOpenTelemetryModuleOptions = {}): DynamicModule {
    return { module: MedplumOpenTelemetryModule, providers: [{ provide: OPTIONS, useValue: options }] };
  }
}
