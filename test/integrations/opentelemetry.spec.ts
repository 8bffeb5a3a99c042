import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Controller, Get, type ModuleMetadata, Param } from '@nestjs/common';
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { Test } from '@nestjs/testing';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { MedplumModule, type MedplumModuleOptions, MedplumService, OnBehalfOf } from 'nestjs-medplum';
import { ignoreRequestsTo, MedplumOpenTelemetryModule } from 'nestjs-medplum/opentelemetry';
import { safeTemplate } from '../../lib/shared/known-types';
import { closeAll } from '../support/close-all';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { listen } from '../support/platforms';
import { outcome, type WireAnswer, type WireHandler } from '../support/wire-server';
import { Telemetry } from '../support/telemetry';

const AS_MARGE = { onBehalfOf: 'ProjectMembership/marge' };

@Controller('patients')
@OnBehalfOf('ProjectMembership/marge')
class PatientsController {
  constructor(private readonly medplum: MedplumService) {}

  @Get(':id')
  read(@Param('id') id: string) {
    return this.medplum.readResource('Patient', id);
  }
}

let telemetry: Telemetry;
let app: MedplumApp;

afterEach(() => closeAll(app, telemetry));

async function start(
  options: Partial<MedplumModuleOptions> = {},
  handler?: WireHandler,
  more: ModuleMetadata = {},
): Promise<void> {
  telemetry = new Telemetry();
  const imports = [MedplumOpenTelemetryModule.forRoot()];
  const retry = { minTimeout: 1, maxRetries: 2, budget: 100 };
  app = await startMedplumApp({ retry, ...options }, { ...more, imports, ...(handler ? { handler } : {}) });
}

/** The one span of the library. */
function theSpan(): ReadableSpan {
  expect(telemetry.ours).toHaveLength(1);
  return telemetry.ours[0] as ReadableSpan;
}

const resource = (resourceType: string, id: string): WireAnswer => ({ body: { resourceType, id } });

const parentOf = (span: ReadableSpan | undefined) => span?.parentSpanContext?.spanId;

describe('A call', () => {
  it('becomes a span that says what kind of call it was, in the trace of its caller', async () => {
    await start();
    const { spanId } = await telemetry.inTrace('GET /patients/:id', () =>
      app.medplum.readResource('Patient', 'homer', AS_MARGE),
    );
    const span = theSpan();
    expect(span.name).toBe('GET /fhir/R4/Patient/{id}');
    expect(span.kind).toBe(SpanKind.CLIENT);
    expect(span.status).toEqual({ code: SpanStatusCode.UNSET });
    expect(parentOf(span)).toBe(spanId);
    expect(span.attributes).toEqual({
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'url.template': '/fhir/R4/Patient/{id}',
      'url.scheme': 'http',
      'server.address': '127.0.0.1',
      'server.port': Number(new URL(app.wire.baseUrl).port),
      'medplum.client': 'default',
      'medplum.action': 'read',
      'medplum.resource_type': 'Patient',
      'medplum.identity_source': 'call',
      'medplum.effect': 'none',
    });
    expect(span.events).toMatchObject([
      { name: 'medplum.attempt', attributes: { 'medplum.attempt': 1, 'http.response.status_code': 200 } },
    ]);
  });

  it('sends the traceparent of its span, and no baggage', async () => {
    await start();
    await telemetry.inTrace('request', () => app.medplum.readResource('Patient', 'homer', AS_MARGE), { user: 'marge' });
    const { traceId, spanId } = theSpan().spanContext();
    const [request] = app.wire.requests;
    expect(request?.headers).toMatchObject({ traceparent: `00-${traceId}-${spanId}-01` });
    expect(request?.headers).not.toHaveProperty('baggage');
    expect(app.events[0]).toMatchObject({ traceId });
  });

  it('made by a handler sends its own span instead of the traceparent of the inbound request', async () => {
    await start({}, undefined, { controllers: [PatientsController] });
    const { app: nest, url } = await listen(app.module, 'express');
    const inbound = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, 'x-request-id': 'request-1' };
    try {
      expect(await fetch(`${url}/patients/homer`, { headers: inbound })).toMatchObject({ status: 200 });
    } finally {
      await nest.close();
    }
    const { traceId, spanId } = theSpan().spanContext();
    const traceparent = `00-${traceId}-${spanId}-01`;
    expect(app.wire.requests[0]?.headers).toMatchObject({ traceparent, 'x-request-id': 'request-1' });
    expect(app.events[0]).toMatchObject({ traceId });
  });

  it('keeps the trace that its own headers name', async () => {
    await start();
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await app.medplum.readResource('Patient', 'homer', { ...AS_MARGE, headers: { traceparent } });
    expect(app.wire.requests[0]?.rawHeaders.filter((name) => name === 'traceparent')).toHaveLength(1);
    expect(app.wire.requests[0]?.headers).toMatchObject({ traceparent });
  });

  it('is one span however often it is retried, with an event for every attempt and retry', async () => {
    const responses = [{ status: 429 }, { status: 503 }];
    await start({}, () => responses.shift() ?? { body: { resourceType: 'Patient', id: 'homer' } });
    await app.medplum.readResource('Patient', 'homer', AS_MARGE);
    const span = theSpan();
    expect(span.attributes).toMatchObject({ 'http.request.resend_count': 2, 'http.response.status_code': 200 });
    expect(span.events.map(({ name, attributes }) => [name, Object.values(attributes ?? {})])).toEqual([
      ['medplum.attempt', [1, 429]],
      ['medplum.retry', ['429']],
      ['medplum.attempt', [2, 503]],
      ['medplum.retry', ['503']],
      ['medplum.attempt', [3, 200]],
    ]);
    const parents = app.wire.requests.map(({ headers }) => headers['traceparent']);
    expect(new Set(parents).size).toBe(1);
  });

  it('says that it renewed its credentials', async () => {
    let secret = 0;
    const handler: WireHandler = () =>
      app.wire.requests.length === 1 ? { status: 401 } : resource('Patient', 'homer');
    await start({ clientSecret: () => `secret-${secret++}` }, handler);
    await app.medplum.readResource('Patient', 'homer', AS_MARGE);
    expect(theSpan().events[1]).toMatchObject({
      name: 'medplum.retry',
      attributes: { 'medplum.retry.reason': 'credentials' },
    });
  });

  it('that failed carries the error code, and no text of the server', async () => {
    await start({}, () => ({ status: 404, body: outcome('not-found', 'not-found', 'Homer is dead') }));
    await expect(app.medplum.readResource('Patient', 'homer', AS_MARGE)).rejects.toMatchObject({ status: 404 });
    const span = theSpan();
    expect(span.status).toEqual({ code: SpanStatusCode.ERROR });
    expect(span.attributes).toMatchObject({ 'error.type': 'MEDPLUM_NOT_FOUND', 'http.response.status_code': 404 });
    expect(span.events.map(({ name }) => name)).toEqual(['medplum.attempt']);
  });

  it('that was refused is a span without attempts', async () => {
    await start();
    await expect(app.medplum.readResource('Patient', 'homer')).rejects.toMatchObject({ effect: 'none' });
    const span = theSpan();
    expect(span.attributes).toMatchObject({ 'error.type': 'MEDPLUM_ON_BEHALF_OF_REQUIRED' });
    expect(span.attributes).not.toHaveProperty('medplum.identity_source');
    expect(span.events).toEqual([]);
  });

  it('that timed out is an error, but one that was aborted is not', async () => {
    const controller = new AbortController();
    await start({}, () => {
      controller.abort();
      return undefined;
    });
    const aborted = app.medplum.readResource('Patient', 'homer', { ...AS_MARGE, signal: controller.signal });
    await expect(aborted).rejects.toMatchObject({ code: 'MEDPLUM_ABORT' });
    const late = app.medplum.readResource('Patient', 'homer', { ...AS_MARGE, timeout: 20 });
    await expect(late).rejects.toMatchObject({ code: 'MEDPLUM_TIMEOUT' });
    expect(telemetry.ours.map(({ attributes, status }) => [attributes['error.type'], status.code])).toEqual([
      ['MEDPLUM_ABORT', SpanStatusCode.UNSET],
      ['MEDPLUM_TIMEOUT', SpanStatusCode.ERROR],
    ]);
  });

  it('that streams ends when its stream ends', async () => {
    await start({}, () => ({ body: { some: 'content' } }));
    const { stream } = await app.medplum.binaries.download('homer', AS_MARGE);
    expect(telemetry.ours).toEqual([]);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    stream.resume();
    await closed;
    expect(theSpan().attributes).toMatchObject({ 'url.template': '/fhir/R4/Binary/{id}' });
  });
});

const page = (n: number) => ({
  resourceType: 'Bundle',
  type: 'searchset',
  entry: [{ resource: { resourceType: 'Patient', id: `p${n}` } }],
  link: n < 3 ? [{ relation: 'next', url: `${app.wire.baseUrl}fhir/R4/Patient?name=simpson&_offset=${n}` }] : [],
});

it('the requests of one method become sibling spans', async () => {
  await start({}, () => ({ body: page(app.wire.requests.length) }));
  const pages = await telemetry.inTrace('request', () =>
    Promise.resolve(app.medplum.searchResourcePages('Patient', 'name=simpson', AS_MARGE)),
  );
  // The pages are read in another trace, but the spans belong to whoever called the method.
  await telemetry.inTrace('another request', async () => {
    for await (const _ of pages.result) {
      // Only the requests matter here.
    }
  });
  expect(telemetry.ours.map(({ name }) => name)).toEqual(Array(3).fill('GET /fhir/R4/Patient'));
  expect(telemetry.ours.map(parentOf)).toEqual(Array(3).fill(pages.spanId));
});

it('a hundred calls at once keep their traces', async () => {
  await start({ pool: { connections: 3 } });
  const calls = Array.from({ length: 100 }, (_, i) =>
    telemetry.inTrace(`request ${i}`, () =>
      app.medplum.readResource('Patient', `p${i}`, { onBehalfOf: `ProjectMembership/m${i}` }),
    ),
  );
  const roots = await Promise.all(calls);
  expect(telemetry.ours).toHaveLength(100);
  expect(telemetry.undicis).toEqual([]);
  const sent = new Map(app.wire.requests.map(({ onBehalfOf, headers }) => [onBehalfOf, headers['traceparent']]));
  roots.forEach(({ traceId, spanId }, i) => {
    const ours = telemetry.ours.find((span) => span.spanContext().traceId === traceId);
    expect(parentOf(ours)).toBe(spanId);
    expect(sent.get(`ProjectMembership/m${i}`)).toBe(`00-${traceId}-${ours?.spanContext().spanId}-01`);
  });
});

it('a call that an audit sink makes is not part of the trace that the sink writes about', async () => {
  const sink = { write: async () => void (await app.medplum.readResource('Basic', 'b1', { onBehalfOf: '' })) };
  await start({ audit: { sinks: [sink] } }, ({ path }) =>
    path.includes('/Basic/') ? resource('Basic', 'b1') : resource('Patient', 'homer'),
  );
  const { spanId } = await telemetry.inTrace('request', () => app.medplum.readResource('Patient', 'homer', AS_MARGE));
  await app.module.close();
  expect(telemetry.ours.map((span) => [span.name, parentOf(span)])).toEqual([
    ['GET /fhir/R4/Patient/{id}', spanId],
    ['GET /fhir/R4/Basic/{id}', undefined],
  ]);
});

describe('Metrics', () => {
  it('are durations in seconds and counts of retries, with few attribute values', async () => {
    const responses = [{ status: 429 }, resource('Patient', 'homer'), resource('Patient', 'bart')];
    await start({}, () => responses.shift() ?? { status: 404 });
    await app.medplum.readResource('Patient', 'homer', AS_MARGE);
    await app.medplum.readResource('Patient', 'bart', AS_MARGE);
    await expect(app.medplum.deleteResource('Patient', 'lisa', AS_MARGE)).rejects.toMatchObject({ status: 404 });
    const points = (await telemetry.points()).filter(({ name }) => name.startsWith('medplum.client.operation.'));
    const about = { 'medplum.client': 'default', 'medplum.resource_type': 'Patient' };
    expect(points).toMatchObject([
      {
        name: 'medplum.client.operation.duration',
        unit: 's',
        attributes: { ...about, 'medplum.action': 'read', 'http.response.status_code': 200 },
        value: { count: 2 },
      },
      {
        attributes: {
          ...about,
          'medplum.action': 'delete',
          'http.response.status_code': 404,
          'error.type': 'MEDPLUM_NOT_FOUND',
        },
        value: { count: 1 },
      },
      {
        name: 'medplum.client.operation.retries',
        attributes: { ...about, 'medplum.action': 'read', 'medplum.retry.reason': '429' },
        value: 1,
      },
    ]);
    expect(Object.keys(points[0]?.attributes ?? {})).toHaveLength(4);
    expect(Object(points[0]?.value)).toMatchObject({ min: expect.any(Number), max: expect.any(Number) });
    expect(Number(Object(points[0]?.value).max)).toBeLessThan(5);
  });

  it('say what is left of the quota, and how many requests run and wait', async () => {
    const headers = { ratelimit: ['"requests";r=59998;t=60', '"fhirInteractions";r=48497;t=4'] };
    await start({}, () => ({ headers, ...resource('Patient', 'homer') }));
    await app.medplum.readResource('Patient', 'homer', AS_MARGE);
    const points = (await telemetry.points()).filter(({ name }) => /quota|requests/.test(name));
    const client = { 'medplum.client': 'default' };
    expect(points).toMatchObject([
      { name: 'medplum.client.quota.remaining', attributes: { ...client, 'medplum.quota': 'requests' }, value: 59_998 },
      { attributes: { ...client, 'medplum.quota': 'fhirInteractions' }, value: 48_497 },
      { name: 'medplum.client.requests.running', attributes: client, value: 0 },
      { name: 'medplum.client.requests.queued', attributes: client, value: 0 },
    ]);
  });
});

it('every resource type of Medplum is known, and no other word', () => {
  const union = readFileSync(join(__dirname, '../../node_modules/@medplum/fhirtypes/dist/Resource.d.ts'), 'utf8');
  const types = [...union.matchAll(/\| (\w+)/g)].map(([, type]) => type ?? '');
  expect(types.length).toBeGreaterThan(160);
  expect(types.filter((type) => safeTemplate(`/fhir/R4/${type}/{id}`) !== `/fhir/R4/${type}/{id}`)).toEqual([]);
  expect(safeTemplate('/fhir/R4/Simpson/_search')).toBe('/fhir/R4/{type}/_search');
});

describe('The module', () => {
  it('takes its own providers, and covers several clients', async () => {
    telemetry = new Telemetry();
    const own = new Telemetry();
    const imports = [
      MedplumModule.forRoot({ name: 'lab', clientId: 'c', clientSecret: 's', baseUrl: 'http://127.0.0.1:9/' }),
      MedplumOpenTelemetryModule.forRoot({ tracerProvider: own.tracers, meterProvider: own.meters }),
    ];
    app = await startMedplumApp({}, { imports });
    await app.medplum.readResource('Patient', 'homer', AS_MARGE);
    const spans = own.ours.map(({ attributes }) => attributes['medplum.client']);
    const points = await own.points();
    await own.close();
    expect(spans).toEqual(['default']);
    expect(points.map(({ name }) => name)).toContain('medplum.client.operation.duration');
    expect(telemetry.ours).toEqual([]);
  });

  it('does nothing without an SDK', async () => {
    telemetry = new Telemetry();
    await telemetry.close();
    app = await startMedplumApp({}, { imports: [MedplumOpenTelemetryModule.forRoot()] });
    await app.medplum.readResource('Patient', 'homer', AS_MARGE);
    expect(trace.getActiveSpan()).toBeUndefined();
    expect(app.wire.requests[0]?.headers).not.toHaveProperty('traceparent');
  });

  it('refuses to be imported twice', async () => {
    telemetry = new Telemetry();
    const client = MedplumModule.forRoot({ clientId: 'c', clientSecret: 's' });
    const imports = [
      client,
      MedplumOpenTelemetryModule.forRoot(),
      MedplumOpenTelemetryModule.forRoot({ tracerProvider: telemetry.tracers }),
    ];
    await expect(Test.createTestingModule({ imports }).compile()).rejects.toThrow('imported twice');
  });

  it('works without forRoot()', async () => {
    telemetry = new Telemetry();
    app = await startMedplumApp({}, { imports: [MedplumOpenTelemetryModule] });
    await app.module.get(MedplumService).readResource('Patient', 'homer', AS_MARGE);
    expect(telemetry.ours).toHaveLength(1);
  });
});

describe('ignoreRequestsTo()', () => {
  it('recognises servers by their origin', () => {
    const ignore = ignoreRequestsTo('https://api.medplum.com/projects/1/', 'http://localhost:80');
    expect(ignore({ origin: 'https://api.medplum.com' })).toBe(true);
    expect(ignore({ origin: 'http://localhost' })).toBe(true);
    expect(ignore({ origin: 'https://example.com' })).toBe(false);
  });

  it('takes nothing but absolute URLs', () => {
    expect(() => ignoreRequestsTo('api.medplum.com')).toThrow('absolute URLs');
  });
});
