import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import type { Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { isMedplumError, type MedplumModuleOptions, type MedplumService } from 'nestjs-medplum';
import { ignoreRequestsTo, MedplumOpenTelemetryModule } from 'nestjs-medplum/opentelemetry';
import { MedplumHealthIndicator, MedplumHealthModule } from 'nestjs-medplum/terminus';
import { Agent, type Dispatcher } from 'undici';
import { closeAll } from '../support/close-all';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { Telemetry } from '../support/telemetry';
import {
  resourceAsked,
  outcome,
  type WireAnswer,
  type WireHandler,
  type WireRequest,
  WireServer,
} from '../support/wire-server';

/** Texts that must not leave the process. They stand in addresses, headers, bodies and responses. */
const PLANTED = [
  'planted-id',
  'PlantedType',
  'planted-value',
  'planted-member',
  'planted-profile',
  'planted-secret',
  'planted-signature',
  'planted-token',
  'planted-body',
  'planted-server-text',
  'planted-baggage',
  'planted-header',
];

const AS_MEMBER = { onBehalfOf: 'ProjectMembership/planted-member' };
const PATIENT: Patient = { resourceType: 'Patient', id: 'planted-id', name: [{ family: 'planted-body' }] };

/** Every way in which the library makes requests. Neither their results nor their failures matter here. */
const CALLS: Readonly<Record<string, (medplum: MedplumService) => Promise<unknown>>> = {
  'GET /fhir/R4/Patient/{id}': (medplum) => medplum.readResource('Patient', 'planted-id', AS_MEMBER),
  'GET /fhir/R4/Patient': (medplum) => medplum.search('Patient', 'name=planted-value', AS_MEMBER),
  'POST /fhir/R4/Patient/_search': (medplum) =>
    medplum.search('Patient', 'name=planted-value', { ...AS_MEMBER, post: true }),
  'PUT /fhir/R4/Patient/{id}': (medplum) => medplum.updateResource(PATIENT, AS_MEMBER),
  'DELETE /fhir/R4/Patient/{id}': (medplum) => medplum.deleteResource('Patient', 'planted-id', AS_MEMBER),
  'GET /fhir/R4/{type}/{id}': (medplum) => medplum.readResource('PlantedType' as 'Patient', 'planted-id', AS_MEMBER),
  'POST /fhir/R4': (medplum) =>
    medplum.executeBatch(
      { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: 'Patient/planted-id' } }] },
      AS_MEMBER,
    ),
  'POST /fhir/R4/$graphql': (medplum) => medplum.graphql('{ Patient(id: "planted-id") { id } }', AS_MEMBER),
  'GET /fhir/R4/Patient/{id}/$everything': (medplum) => medplum.operations.everything('planted-id', {}, AS_MEMBER),
  'GET /fhir/R4/{type}/{id}/{id}/{id}': (medplum) =>
    medplum.get('fhir/R4/PlantedType/planted-id/x/planted-value?name=planted-value', {
      ...AS_MEMBER,
      headers: { 'x-note': 'planted-header' },
    }),
  'GET /{id}/{id}': (medplum) => medplum.fetch('planted-id/planted-value', AS_MEMBER).then((answer) => answer.text()),
  'POST /fhir/R4/Binary': (medplum) =>
    medplum.binaries.upload(Readable.from(['planted-body']), { contentType: 'text/plain' }, AS_MEMBER),
  'GET /fhir/R4/Binary/{id}': (medplum) =>
    medplum.binaries.download('planted-id', AS_MEMBER).then(({ stream }) => text(stream)),
  'GET /fhir/R4/DocumentReference/{id}': (medplum) =>
    medplum.binaries
      .downloadAttachment('DocumentReference/planted-id', 'content[0].attachment', AS_MEMBER)
      .then(({ stream }) => text(stream)),
  'GET /fhir/R4/Media/{id}': (medplum) =>
    medplum.binaries.downloadAttachment('Media/planted-id', 'content', AS_MEMBER).then(({ stream }) => text(stream)),
  'GET /fhir/R4/Observation/{id}': (medplum) =>
    medplum.readResource('Observation', 'planted-id', { onBehalfOf: 'Practitioner/planted-profile' }),
  'GET /fhir/R4/Encounter/{id}': (medplum) => medplum.readResource('Encounter', 'planted-id', AS_MEMBER),
  'GET /fhir/R4/Task/{id}': (medplum) => medplum.readResource('Task', 'planted-id', AS_MEMBER),
};

let telemetry: Telemetry;
let app: MedplumApp;
let storage: WireServer;
let agent: Agent | undefined;

beforeEach(async () => {
  storage = await WireServer.start(() => ({ headers: { 'content-type': 'text/plain' }, body: 'planted-body' }));
});

afterEach(async () => {
  await closeAll(app, storage, agent, telemetry);
  agent = undefined;
});

const bundle = (...resources: readonly object[]): WireAnswer => ({
  body: { resourceType: 'Bundle', type: 'searchset', entry: resources.map((resource) => ({ resource })) },
});

const signed = (origin: string): string => `${origin}planted-id/file?Signature=planted-signature`;

/** Responds to all of {@link CALLS}. The first request for a Task loses its connection, and there are no Encounters. */
function answers(): WireHandler {
  let hiccups = 1;
  return ({ path, method }) => {
    if (path.startsWith('/oauth2/token')) {
      return { body: { access_token: 'planted-token', token_type: 'Bearer', expires_in: 3600 } };
    }
    if (path.includes('/ProjectMembership')) {
      const profile = { reference: 'Practitioner/planted-profile' };
      const accessPolicy = { reference: 'AccessPolicy/planted-policy' };
      const membership = { resourceType: 'ProjectMembership', id: 'planted-member', profile, accessPolicy };
      return path.includes('?') ? bundle(membership) : { body: membership };
    }
    if (path.includes('/DocumentReference/')) {
      return {
        body: {
          resourceType: 'DocumentReference',
          id: 'planted-id',
          content: [{ attachment: { url: signed(storage.baseUrl) } }],
        },
      };
    }
    if (path.includes('/Media/')) {
      return { body: { resourceType: 'Media', id: 'planted-id', content: { url: signed(app.wire.baseUrl) } } };
    }
    if (path.includes('/Encounter/')) {
      return { status: 404, body: outcome('not-found', 'not-found', 'planted-server-text') };
    }
    if (path.includes('/Task/') && hiccups-- > 0) {
      return { destroy: true };
    }
    if (path.includes('Patient?') || path.endsWith('/_search')) {
      return bundle(PATIENT);
    }
    if (path.endsWith('/$graphql')) {
      return { body: { data: { Patient: PATIENT } } };
    }
    return { body: path.includes('/Patient/') ? PATIENT : resourceAsked({ method, path }) };
  };
}

interface Connections {
  readonly options?: () => Partial<MedplumModuleOptions>;
  readonly hook?: boolean;
}

const dispatcher = (made: Agent): Partial<MedplumModuleOptions> => ({ dispatcher: (agent = made) });

/** The connections over which calls go out. */
const CONNECTIONS: Readonly<Record<string, Connections>> = {
  'the pool of the library': {},
  'a pool with one connection': { options: () => ({ pool: { connections: 1 } }) },
  "an app's own agent": { options: () => dispatcher(new Agent()) },
  'a composed dispatcher': {
    options: () => ({
      dispatcher: (agent = new Agent()).compose((next) => (options, handler) => next(options, handler)),
    }),
  },
  'an agent with two connections, and the hook': {
    options: () => dispatcher(new Agent({ connections: 2 })),
    hook: true,
  },
};

async function start({ options, hook = false }: Connections, traced = true): Promise<void> {
  const known: string[] = [storage.baseUrl];
  telemetry = new Telemetry(hook ? { ignoreRequestHook: (request) => ignoreRequestsTo(...known)(request) } : {});
  const own: Partial<MedplumModuleOptions> = {
    auth: 'client-credentials',
    clientSecret: 'planted-secret',
    membershipCheck: true,
    storageOrigins: [new URL(storage.baseUrl).origin],
    retry: { minTimeout: 1, maxRetries: 2, budget: 100 },
    ...options?.(),
  };
  const imports = [MedplumHealthModule, ...(traced ? [MedplumOpenTelemetryModule.forRoot()] : [])];
  app = await startMedplumApp(own, { imports, handler: answers() });
  known.push(app.wire.baseUrl);
}

/** Makes a call, and ignores whether it succeeds. */
async function tryCall(call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!isMedplumError(error)) {
      throw error;
    }
  }
}

/** Makes all calls at once, each in a trace of its own, and then a health check. */
async function callAll() {
  const calls = Object.entries(CALLS).map(async ([name, call]) => {
    const around = { note: 'planted-baggage' };
    return { name, ...(await telemetry.inTrace('request', () => tryCall(() => call(app.medplum)), around)) };
  });
  const outcomes = await Promise.all(calls);
  await app.module.get(MedplumHealthIndicator, { strict: false }).isHealthy('medplum');
  return outcomes;
}

/** Lets the app itself open its agent's connections, because queued requests are sent in the context that opened them. */
async function openConnections(count: number): Promise<void> {
  const requests = Array.from({ length: count }, async () => {
    const answer = await agent?.request({ origin: new URL(app.wire.baseUrl).origin, path: '/app', method: 'GET' });
    await answer?.body.dump();
  });
  await telemetry.inTrace('the app itself', () => Promise.all(requests));
  app.wire.requests.length = 0;
}

/** How many bytes of a response undici reads ahead of its reader. The rest keeps the connection busy. */
const READ_AHEAD = 65_536;

/** Resolves when undici has received this many bytes of a response body. */
function bodyArrived(bytes: number): Promise<void> {
  let rest = bytes;
  return new Promise((resolve) => {
    const count = (message: unknown): void => {
      rest -= (message as { readonly chunk: Uint8Array }).chunk.byteLength;
      if (rest === 0) {
        unsubscribe('undici:request:bodyChunkReceived', count);
        resolve();
      }
    };
    subscribe('undici:request:bodyChunkReceived', count);
  });
}

/** Every value of a header as it arrived. */
function sent({ rawHeaders }: { readonly rawHeaders: readonly string[] }, name: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name);
}

/** Whether a request must name no trace: requests for tokens and for signed URLs must not. */
function isForNobody({ path }: { readonly path: string }): boolean {
  return path === '/oauth2/token' || path.includes('Signature=');
}

/** What a request tells the server about its trace. */
function tracingOf(request: WireRequest) {
  const { method, path } = request;
  return { method, path, baggage: sent(request, 'baggage'), parents: sent(request, 'traceparent') };
}

describe.each(Object.entries(CONNECTIONS))('Over %s', (_, connections) => {
  beforeEach(async () => {
    await start(connections);
    if (connections.hook) {
      await openConnections(2);
    }
  });

  it('requests make no spans but ours, and no span reveals anything about anybody', async () => {
    await callAll();
    expect(telemetry.undicis).toEqual([]);
    const exported = await telemetry.everything();
    expect(PLANTED.filter((planted) => exported.includes(planted))).toEqual([]);
    // All requests were really made, and all planted texts really arrived.
    const names = new Set(telemetry.ours.map(({ name }) => name));
    expect([...names]).toEqual(
      expect.arrayContaining([...Object.keys(CALLS), 'GET /{signed}', 'GET /fhir/R4/ProjectMembership']),
    );
    const arrived = JSON.stringify([...app.wire.requests, ...storage.requests]);
    const notInRequests = ['planted-server-text', 'planted-token', 'planted-profile', 'planted-baggage'];
    expect(PLANTED.filter((planted) => !notInRequests.includes(planted) && !arrived.includes(planted))).toEqual([]);
  });

  it('every request carries the trace of its own call, once, and no baggage', async () => {
    const roots = await callAll();
    const spans = new Map(telemetry.spans.map((span) => [span.spanContext().spanId, span]));
    const [strangers, own] = [storage.requests, app.wire.requests].map((requests) => requests.map(tracingOf));
    const forNobody = [...(strangers ?? []), ...(own ?? []).filter(isForNobody)];
    expect(forNobody.length).toBeGreaterThanOrEqual(3);
    expect(forNobody.filter(({ baggage, parents }) => baggage.length + parents.length > 0)).toEqual([]);
    for (const { baggage, parents, method } of (own ?? []).filter((request) => !isForNobody(request))) {
      const span = spans.get(parents[0]?.split('-')[2] ?? '');
      expect([baggage.length, parents.length, span?.instrumentationScope.name]).toEqual([0, 1, 'nestjs-medplum']);
      expect(span?.name.split(' ')[0]).toBe(method);
    }
    for (const { spanId, traceId, name } of roots) {
      const ours = telemetry.ours.filter((span) => span.spanContext().traceId === traceId);
      expect(ours.map((span) => span.name)).toContain(name);
      expect(ours.filter((span) => span.parentSpanContext?.spanId !== spanId)).toEqual([]);
    }
  });
});

it('a request that waited for a connection does not join the trace of the request that freed it', async () => {
  await start({ options: () => ({ auth: 'basic', membershipCheck: false, pool: { connections: 1 } }) });
  app.wire.handler = ({ path }) => ({ body: path.includes('Binary') ? 'x'.repeat(READ_AHEAD) : PATIENT });
  const arrived = bodyArrived(READ_AHEAD);
  const { result: download } = await telemetry.inTrace('first', () =>
    app.medplum.binaries.download('planted-id', AS_MEMBER),
  );
  await arrived;
  const waiting = telemetry.inTrace('second', () => app.medplum.readResource('Patient', 'planted-id', AS_MEMBER));
  // Reading the download to its end frees the connection.
  await telemetry.inTrace('third', () => text(download.stream), { note: 'planted-baggage' });
  const { traceId } = await waiting;
  expect(telemetry.undicis).toEqual([]);
  const [, request] = app.wire.requests;
  expect(request && sent(request, 'traceparent').map((value) => value.split('-')[1])).toEqual([traceId]);
  expect(request && sent(request, 'baggage')).toEqual([]);
});

describe('These tests would notice addresses', () => {
  it('without the module', async () => {
    await start({}, false);
    await callAll();
    expect(telemetry.undicis.length).toBeGreaterThan(Object.keys(CALLS).length);
    const exported = await telemetry.everything();
    for (const planted of ['planted-id', 'planted-value', 'planted-signature']) {
      expect(exported).toContain(planted);
    }
    expect(app.wire.requests.some((request) => sent(request, 'baggage').length > 0)).toBe(true);
  });

  it('without the hook, if an agent queues requests', async () => {
    await start({ options: () => dispatcher(new Agent({ connections: 2 })) });
    await openConnections(2);
    await callAll();
    expect(telemetry.undicis.length).toBeGreaterThan(2);
    expect(await telemetry.everything()).toContain('planted-id');
  });
});

it("an app's own dispatcher still gets every request", async () => {
  const asked: Dispatcher[] = [];
  class Counted extends Agent {
    override dispatch(options: Agent.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
      asked.push(this);
      return super.dispatch(options, handler);
    }
  }
  await start({ options: () => dispatcher(new Counted()) });
  await app.medplum.readResource('Patient', 'planted-id', AS_MEMBER);
  expect(asked.every((one) => one === agent)).toBe(true);
  expect(asked).toHaveLength(app.wire.requests.length);
});
