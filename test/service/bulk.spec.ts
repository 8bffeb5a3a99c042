import { text } from 'node:stream/consumers';
import { type ExportInput, MedplumProtocolError, type MedplumService, MedplumTimeoutError } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { type MedplumServer, startMedplumServer } from '../support/medplum-server';
import { until } from '../support/until';
import { outcome, type WireAnswer } from '../support/wire-server';

describe('On a Medplum server', () => {
  let server: MedplumServer;
  let medplum: MedplumService;

  beforeAll(async () => {
    server = await startMedplumServer();
    const ann = await server.createMember('Ann', [
      { resourceType: 'Patient', criteria: 'Patient?gender=female' },
      { resourceType: 'AsyncJob' },
      { resourceType: 'Binary' },
    ]);
    medplum = server.medplum.actingAs(ann.membership);
  });
  afterAll(() => server?.close());

  it('an export holds only what the user may see', async () => {
    const { id } = await medplum.createResource({ resourceType: 'Patient', gender: 'female' });
    const other = await server.medplum.createResource({ resourceType: 'Patient', gender: 'male' }, { onBehalfOf: '' });
    const { output } = await medplum.bulk.export({ types: ['Patient'] }, { interval: 5 });
    expect(output.map(({ type }) => type)).toEqual(['Patient']);
    const file = await text((await medplum.bulk.download(output[0]?.url ?? '')).stream);
    expect(file).toContain(id);
    expect(file).not.toContain(other.id);
  });
});

/** The state of a job, as Medplum 5.0 answers. */
const state = (status: string): WireAnswer => ({
  status: ['completed', 'error'].includes(status) ? 200 : 202,
  body: { resourceType: 'AsyncJob', id: 'j1', status },
});

describe('A job', () => {
  let app: MedplumApp;
  let medplum: MedplumService;

  beforeAll(async () => {
    app = await startMedplumApp();
    medplum = app.medplum.actingAs('m-1');
  });
  beforeEach(() => {
    app.wire.requests.length = 0;
    app.events.length = 0;
  });
  afterAll(() => app.close());

  const ended: WireAnswer = { body: { resourceType: 'AsyncJob', id: 'j1', status: 'error' } };
  const running: WireAnswer = { status: 202, body: { resourceType: 'OperationOutcome', issue: [] } };

  it.each(['job/R4', 'job/job', 'bulkdata/export/f'])(
    '%s does not appear in the path template of its events',
    async (job) => {
      app.wire.handler = () => ended;
      await medplum.bulk.waitForJob(`${app.wire.baseUrl}fhir/R4/${job}/status`, { interval: 1 });
      expect(app.events.map(({ pathTemplate }) => pathTemplate)).toEqual(['/fhir/R4/job/{id}/status']);
    },
  );

  it('is polled until it finishes, successfully or not', async () => {
    app.wire.handler = () => (app.wire.requests.length < 4 ? running : ended);
    expect(await medplum.bulk.waitForJob('j1', { interval: 1 })).toMatchObject({ status: 'error' });
    expect(app.wire.identities).toEqual(Array.from({ length: 4 }, () => 'ProjectMembership/m-1'));
    expect(new Set(app.events.map(({ operationId }) => operationId)).size).toBe(1);
  });

  it.each(['4', 'R4', 'job', 'f', 'j1'])(
    '%s does not appear in the path template, even if it looks like a part of the path',
    async (id) => {
      app.wire.handler = () => ended;
      await medplum.bulk.waitForJob(id).catch(() => undefined);
      expect(app.events.at(-1)?.pathTemplate).toBe('/fhir/R4/job/{id}/status');
      await medplum.bulk.cancelJob(id).catch(() => undefined);
      expect(app.events.at(-1)?.pathTemplate).toBe('/fhir/R4/job/{id}/status');
    },
  );

  it('is polled no longer than maxWait, and not after the signal aborts', async () => {
    app.wire.handler = () => running;
    await expect(medplum.bulk.waitForJob('j1', { interval: 5, maxWait: 20 })).rejects.toThrow(MedplumTimeoutError);
    const controller = new AbortController();
    app.wire.handler = () => {
      setImmediate(() => controller.abort());
      return running;
    };
    const { signal } = controller;
    await expect(medplum.bulk.waitForJob('j1', { interval: 60_000, signal })).rejects.toMatchObject({
      code: 'MEDPLUM_ABORT',
    });
  });

  it.each([
    ['in seconds', () => '60'],
    ['as a date', () => new Date(Date.now() + 60_000).toUTCString()],
  ])('is not polled before the time that Retry-After gives %s', async (_form, retryAfter) => {
    app.wire.handler = () =>
      app.wire.requests.length < 2 ? { ...running, headers: { 'retry-after': retryAfter() } } : ended;
    // The wait does not fit into maxWait, so the call ends at once. With a wait of `interval` it would poll again.
    await expect(medplum.bulk.waitForJob('j1', { interval: 1, maxWait: 10_000 })).rejects.toThrow(MedplumTimeoutError);
    expect(app.wire.requests).toHaveLength(1);
  });

  it('is polled again after the wait that Retry-After asks for, and not before', async () => {
    app.wire.handler = () => (app.wire.requests.length < 2 ? { ...running, headers: { 'retry-after': '1' } } : ended);
    const start = performance.now();
    await medplum.bulk.waitForJob('j1', { interval: 1 });
    expect(performance.now() - start).toBeGreaterThanOrEqual(990);
    expect(app.wire.requests).toHaveLength(2);
  });

  it('is no longer polled when the app shuts down', async () => {
    const other = await startMedplumApp({}, { handler: () => running });
    try {
      const waiting = other.medplum.bulk.waitForJob('j1', { onBehalfOf: 'm-1', interval: 60_000 });
      const refused = waiting.catch((error: unknown) => error);
      await until(() => other.events.length >= 1);
      await other.module.close();
      expect(await refused).toMatchObject({ cause: { code: 'SHUTDOWN' }, effect: 'none' });
    } finally {
      await other.close();
    }
  });

  it.each([
    'https://evil.example/fhir/R4/job/j1/status',
    '//evil.example/fhir/R4/job/j1/status',
    'http://127.0.0.1:1/fhir/R4/job/j1/status',
    '../../oauth2/token?x=',
    'fhir/R4/job/../../../oauth2/token',
    'fhir/R4/job/a%2fb/status',
    'fhir/R4/Patient/1',
    '..',
    '',
    undefined,
  ])('%j is refused as a job, and nothing is sent', async (job) => {
    await expect(medplum.bulk.waitForJob(job as string)).rejects.toThrow(MedplumProtocolError);
    await expect(medplum.bulk.cancelJob(job as string)).rejects.toThrow(MedplumProtocolError);
    expect(app.wire.requests).toEqual([]);
  });

  it('is not polled if the server gives its address on another server', async () => {
    const headers = { 'content-location': 'https://evil.example/fhir/R4/job/j1/status' };
    app.wire.handler = () => ({ ...running, headers });
    await expect(medplum.bulk.export({}, { interval: 1 })).rejects.toThrow(MedplumProtocolError);
    expect(app.wire.requests).toHaveLength(1);
  });

  it.each<readonly [ExportInput, string, string]>([
    [{}, '/fhir/R4/$export', '/fhir/R4/$export'],
    [{ level: 'system' }, '/fhir/R4/$export', '/fhir/R4/$export'],
    [{ level: 'patient' }, '/fhir/R4/Patient/$export', '/fhir/R4/Patient/$export'],
    [{ level: { group: 'g1' } }, '/fhir/R4/Group/g1/$export', '/fhir/R4/Group/{id}/$export'],
  ])('an export of %j requests %s, and its event shows %s', async (input, path, pathTemplate) => {
    const headers = { 'content-location': `${app.wire.baseUrl}fhir/R4/bulkdata/export/j1` };
    app.wire.handler = (request) =>
      request.path.endsWith('$export') ? { ...running, headers } : { body: { output: [] } };
    await medplum.bulk.export(input, { interval: 1 });
    expect(app.wire.requests[0]?.path).toBe(path);
    expect(app.events[0]).toMatchObject({ pathTemplate, operation: '$export' });
  });

  /** Answers as Medplum 5.0 does: 202 without a body while the export runs, and 404 when it was cancelled. */
  const runningExport: WireAnswer = { status: 202 };
  const accepted = () => ({
    ...running,
    headers: { 'content-location': `${app.wire.baseUrl}fhir/R4/bulkdata/export/j1` },
  });
  const manifest: WireAnswer = { body: { output: [{ type: 'Patient', url: 'https://x/y' }] } };

  it('an export that runs is polled until the server lists its files, although the responses are empty', async () => {
    const left = [accepted(), runningExport, runningExport, runningExport, manifest];
    app.wire.handler = ({ path }) => (path.includes('/job/') ? state('active') : left.shift());
    expect(await medplum.bulk.export({}, { interval: 1 })).toEqual(manifest.body);
    expect(app.wire.requests.map(({ path }) => path)).toEqual([
      '/fhir/R4/$export',
      '/fhir/R4/bulkdata/export/j1',
      ...Array.from({ length: 2 }, () => ['/fhir/R4/bulkdata/export/j1', '/fhir/R4/job/j1/status']).flat(),
      '/fhir/R4/bulkdata/export/j1',
    ]);
    expect(new Set(app.wire.identities)).toEqual(new Set(['ProjectMembership/m-1']));
  });

  it.each(['error', 'cancelled'])('an export whose job ended with %s is not waited for', async (status) => {
    app.wire.handler = ({ path }) =>
      path.endsWith('$export') ? accepted() : path.includes('/job/') ? state(status) : runningExport;
    await expect(medplum.bulk.export({}, { interval: 1, maxWait: 5_000 })).rejects.toMatchObject({
      code: 'MEDPLUM_SERVER',
      effect: 'happened',
    });
    expect(app.wire.requests).toHaveLength(4);
  });

  it.each([403, 404])('an export is waited for even if the identity gets %d for its job', async (status) => {
    const left = [accepted(), runningExport, runningExport, manifest];
    app.wire.handler = ({ path }) =>
      path.includes('/job/') ? { status, body: outcome('x', 'forbidden', 'x') } : left.shift();
    expect(await medplum.bulk.export({}, { interval: 1 })).toEqual(manifest.body);
  });

  it('is returned when it was cancelled, which Medplum says with 202', async () => {
    app.wire.handler = () => state(app.wire.requests.length < 3 ? 'accepted' : 'cancelled');
    const address = `${app.wire.baseUrl}fhir/R4/bulkdata/export/j1`;
    expect(await medplum.bulk.waitForJob('j1', { interval: 1 })).toMatchObject({ status: 'cancelled' });
    expect(await medplum.bulk.waitForJob(address, { interval: 1 })).toMatchObject({ status: 'cancelled' });
    expect(new Set(app.wire.requests.map(({ path }) => path))).toEqual(new Set(['/fhir/R4/job/j1/status']));
  });

  it.each([
    ['its id', () => 'j1', '/fhir/R4/job/j1/status', running],
    ['its address', () => `${app.wire.baseUrl}fhir/R4/job/j1/status`, '/fhir/R4/job/j1/status', running],
    [
      'the address of an export',
      () => `${app.wire.baseUrl}fhir/R4/bulkdata/export/j1`,
      '/fhir/R4/bulkdata/export/j1',
      { status: 202, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: 'Accepted' },
    ],
  ])('is cancelled by %s', async (_what, job, path, answer) => {
    app.wire.handler = () => answer;
    await medplum.bulk.cancelJob(job());
    expect(app.wire.requests.map((request) => `${request.method} ${request.path}`)).toEqual([`DELETE ${path}`]);
  });

  it('without a body and with 200 is no job', async () => {
    app.wire.handler = () => ({ status: 200 });
    await expect(medplum.bulk.waitForJob('j1')).rejects.toThrow(MedplumProtocolError);
  });

  it.each<object>([{ level: 'all' }, { level: { group: '..' } }, { types: [] }, { types: ['A/b'] }])(
    'an export of %j is refused, and nothing is sent',
    async (input) => {
      await expect(medplum.bulk.export(input)).rejects.toMatchObject({ code: 'MEDPLUM_BAD_REQUEST' });
      expect(app.wire.requests).toEqual([]);
    },
  );
});
