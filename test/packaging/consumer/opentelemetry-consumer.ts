/** An app with OpenTelemetry's SDK and its instrumentation of undici; see consumer.ts. */
import 'reflect-metadata';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { MedplumModule, type MedplumModuleOptions, MedplumService } from 'nestjs-medplum';
import { ignoreRequestsTo, MedplumOpenTelemetryModule } from 'nestjs-medplum/opentelemetry';

const exporter = new InMemorySpanExporter();
const tracerProvider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(tracerProvider);
const instrumentation = new UndiciInstrumentation({ ignoreRequestHook: ignoreRequestsTo('https://api.example.com/') });
instrumentation.setTracerProvider(tracerProvider);

/** Stands in for Medplum: responds to every request and records its trace. */
const traceparents: (string | string[] | undefined)[] = [];
const server = createServer((request, response) => {
  traceparents.push(request.headers['traceparent']);
  response.setHeader('content-type', 'application/fhir+json');
  response.end(JSON.stringify({ resourceType: 'Patient', id: 'homer' }));
});

@Module({
  imports: [
    MedplumModule.forRootAsync({
      useFactory: (): MedplumModuleOptions => ({
        baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
        clientId: 'client',
        clientSecret: 'not-a-secret',
      }),
    }),
    MedplumOpenTelemetryModule.forRoot({ tracerProvider }),
  ],
})
class AppModule {}

// @ts-expect-error: a provider must be one of OpenTelemetry.
void (() => MedplumOpenTelemetryModule.forRoot({ tracerProvider: 'console' }));

async function main(): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  await tracerProvider.getTracer('app').startActiveSpan('job', async (span) => {
    await app.get(MedplumService).readResource('Patient', 'homer', { onBehalfOf: 'ProjectMembership/m1' });
    span.end();
  });
  await app.close();
  server.close();
  instrumentation.disable();
  const [call, job] = exporter.getFinishedSpans();
  console.log(
    JSON.stringify({
      spans: exporter.getFinishedSpans().map(({ name }) => name),
      isChild: call?.parentSpanContext?.spanId === job?.spanContext().spanId,
      isSent: traceparents.join().includes(call?.spanContext().spanId ?? '-'),
    }),
  );
}

void main();
