import { randomUUID } from 'node:crypto';
import {
  MedplumAbortError,
  MedplumAudit,
  type MedplumModuleOptions,
  type MedplumRequestOptions,
  type MedplumService,
  type RequestEvent,
} from 'nestjs-medplum';
import { asked, batchHandler, NOT_FOUND, type ReadHandler, urlsOf } from '../support/batch-server';
import { failureOf } from '../support/failure-of';
import { gate } from '../support/gate';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { outcome, type WireAnswer } from '../support/wire-server';
import { until } from '../support/until';

const ANN = 'ProjectMembership/ann';
const BEN = 'ProjectMembership/ben';

let app: MedplumApp;

async function start(options: Partial<MedplumModuleOptions> = {}, answer: ReadHandler = asked): Promise<void> {
  app = await startMedplumApp(
    { batchReads: true, retry: { minTimeout: 1, maxTimeout: 5 }, ...options },
    { handler: batchHandler(answer) },
  );
}
afterEach(() => app.close());

const read = (id: string, options: MedplumRequestOptions = { onBehalfOf: ANN }) =>
  app.medplum.readResource('Patient', id, options);

/** How each request arrived: its method and the reads that it carried. */
const arrived = () => app.wire.requests.map((request) => `${request.method} ${urlsOf(request).join(' ')}`);

const settled = (work: readonly Promise<unknown>[]) => Promise.allSettled(work);

const facts = async (work: Promise<unknown>) => {
  const { name, code, message, status, effect, retryable, outcome: said } = await failureOf(work);
  return { name, code, message, status, effect, retryable, issue: said?.issue };
};

const trace = (id: string, span: string) => ({
  onBehalfOf: ANN,
  headers: { traceparent: `00-${id.repeat(32)}-${span.repeat(16)}-01` },
});

describe('Reads of the same tick', () => {
  it('travel as one batch: reads, searches, and those in between promise jobs', async () => {
    await start();
    const [one, two, found] = await Promise.all([
      read('1'),
      Promise.resolve().then(async () => (await Promise.resolve(), read('2'))),
      app.medplum.searchResources('Observation', { subject: 'Patient/1' }, { onBehalfOf: ANN }),
    ]);
    expect([one.id, two.id, found.length]).toEqual(['1', '2', 0]);
    expect(arrived()).toEqual(['POST Patient/1 Observation?subject=Patient%2F1 Patient/2']);
    expect(app.wire.requests[0]).toMatchObject({
      path: '/fhir/R4',
      onBehalfOf: ANN,
      headers: { 'content-type': 'application/fhir+json', accept: 'application/fhir+json', 'x-medplum': 'extended' },
    });
  });

  it('are sent as they are when each is alone in its tick', async () => {
    await start();
    await read('1');
    await read('2');
    expect(arrived()).toEqual(['GET Patient/1', 'GET Patient/2']);
    expect(app.events.map(({ attempts }) => attempts[0]?.batchId)).toEqual([undefined, undefined]);
  });

  it('go by themselves unless the client or the call asks for batches', async () => {
    await start({ batchReads: false });
    await Promise.all([read('1'), read('2')]);
    expect(arrived()).toEqual(['GET Patient/1', 'GET Patient/2']);
    await Promise.all(['3', '4'].map((id) => read(id, { onBehalfOf: ANN, batchReads: true })));
    expect(arrived().slice(2)).toEqual(['POST Patient/3 Patient/4']);
  });

  it('go by themselves when the call says so', async () => {
    await start();
    await Promise.all([read('1'), read('2'), read('3', { onBehalfOf: ANN, batchReads: false })]);
    expect(arrived().toSorted()).toEqual(['GET Patient/3', 'POST Patient/1 Patient/2']);
  });

  it('are split into batches of 20', async () => {
    await start();
    const ids = Array.from({ length: 41 }, (_, index) => String(index));
    const found = await Promise.all(ids.map((id) => read(id)));
    expect(found.map(({ id }) => id)).toEqual(ids);
    expect(app.wire.requests.map((request) => urlsOf(request).length).toSorted((a, b) => a - b)).toEqual([1, 20, 20]);
  });

  it('are sent once if they are equal, and each caller gets a copy of its own', async () => {
    await start();
    const reads = ['1', '1', '2', '1'].map(async (id) => {
      const patient = await read(id);
      const before = structuredClone(patient);
      patient.name = [{ family: 'changed' }];
      return before;
    });
    expect(await Promise.all(reads)).toEqual(['1', '1', '2', '1'].map((id) => asked(`Patient/${id}`, ANN).body));
    expect(arrived()).toEqual(['POST Patient/1 Patient/2']);
  });

  it('are one GET if all of them are equal', async () => {
    await start();
    const [one, two] = await Promise.all([read('1'), read('1')]);
    expect(one).toEqual(two);
    expect(one).not.toBe(two);
    expect(arrived()).toEqual(['GET Patient/1']);
  });
});

describe('Reads share no batch', () => {
  it.each<readonly [string, MedplumRequestOptions, MedplumRequestOptions]>([
    ['two identities', { onBehalfOf: ANN }, { onBehalfOf: BEN }],
    ['a user and the client itself', { onBehalfOf: ANN }, { onBehalfOf: '' }],
    ['other headers', { onBehalfOf: ANN }, { onBehalfOf: ANN, headers: { 'x-gateway': 'b' } }],
  ])('if they have %s', async (_what, one, two) => {
    await start();
    await Promise.all(['1', '2'].flatMap((id) => [read(id, one), read(id, two)]));
    expect(arrived()).toEqual(['POST Patient/1 Patient/2', 'POST Patient/1 Patient/2']);
    expect(app.wire.requests[0]?.headers).not.toEqual(app.wire.requests[1]?.headers);
  });

  it('if their identities come from different places, or serve different purposes', async () => {
    await start();
    const { medplum } = app;
    const pair = () => Promise.all(['1', '2'].map((id) => medplum.readResource('Patient', id)));
    await Promise.all([
      medplum.actingAs(ANN).readResource('Patient', '1'),
      medplum.onBehalfOf(ANN, pair),
      medplum.onBehalfOf(ANN, pair, { purposeOfUse: 'TREAT' }),
      medplum.asClientApplication(pair, { reason: 'one' }),
      medplum.asClientApplication(pair, { reason: 'two' }),
    ]);
    expect(arrived().toSorted()).toEqual(['GET Patient/1', ...Array<string>(4).fill('POST Patient/1 Patient/2')]);
  });

  it('if one of them has emergency access', async () => {
    await start({
      breakGlass: { onBehalfOf: ANN, alert: () => undefined },
      audit: { sinks: [{ write: () => Promise.resolve() }] },
    });
    const request = { reason: 'unconscious', expiresIn: 60_000 };
    const readHere = (id: string) => app.medplum.readResource('Patient', id);
    const emergency = app.medplum.onBehalfOf(BEN, () =>
      app.medplum.breakGlass(request, () => Promise.all([readHere('1'), readHere('2')])),
    );
    // Both pairs act as the same membership.
    await Promise.all([emergency, read('3'), read('4')]);
    expect(arrived().toSorted()).toEqual(['POST Patient/1 Patient/2', 'POST Patient/3 Patient/4']);
  });

  it('with other clients', async () => {
    await start();
    const other = await startMedplumApp({ batchReads: true });
    try {
      await Promise.all([read('1'), other.medplum.readResource('Patient', '2', { onBehalfOf: ANN })]);
      expect(arrived()).toEqual(['GET Patient/1']);
      expect(other.wire.requests).toHaveLength(1);
    } finally {
      await other.close();
    }
  });

  it.each<readonly [string, (medplum: MedplumService, options: MedplumRequestOptions) => Promise<unknown>]>([
    ['with a condition', (m, o) => m.readResource('Patient', '1', { ...o, headers: { 'if-none-match': 'W/"1"' } })],
    ['with a preference', (m, o) => m.readResource('Patient', '1', { ...o, headers: { prefer: 'handling=strict' } })],
    ['in another format', (m, o) => m.readResource('Patient', '1', { ...o, headers: { accept: 'application/json' } })],
    ['of a Binary', (m, o) => m.readResource('Binary', '1', o)],
    ['that are POSTed', (m, o) => m.search('Patient', 'name=a', { ...o, post: true })],
    ['of a history', (m, o) => m.readHistory('Patient', '1', o)],
    ['of any path', (m, o) => m.get('fhir/R4/Patient/1', o)],
    ['in several types', (m, o) => m.searchTypes(['Patient', 'Group'], 'name=a', o)],
  ])('if they are reads %s', async (_what, call) => {
    await start();
    const options = { onBehalfOf: ANN };
    await Promise.all([call(app.medplum, options), call(app.medplum, options), read('2'), read('3')]);
    expect(arrived().filter((request) => request === 'POST Patient/2 Patient/3')).toHaveLength(1);
    expect(app.wire.requests).toHaveLength(3);
  });
});

describe('The result of a read in a batch', () => {
  const REFUSALS: Readonly<Record<string, number>> = { a: 400, b: 403, c: 404, d: 410, e: 500, f: 412, g: 429, h: 503 };
  const answer: ReadHandler = (url, user) => {
    const status = REFUSALS[url.split('/')[1] ?? ''];
    return status ? { status, body: outcome('x', 'x', `Because of ${status}`, false) } : asked(url, user);
  };

  it('is the error that it would have been by itself', async () => {
    await start({ retry: { maxRetries: 0 } }, answer);
    const ids = Object.keys(REFUSALS);
    const batched = await Promise.all([...ids.map((id) => facts(read(id))), read('ok').then(({ id }) => id)]);
    expect(app.wire.requests).toHaveLength(1);
    const alone = await Promise.all(ids.map((id) => facts(read(id, { onBehalfOf: ANN, batchReads: false }))));
    expect(batched).toEqual([...alone, 'ok']);
  });

  it('is not taken for a refusal of the identity if a proxy drops the RateLimit header', async () => {
    await start({}, answer);
    const handler = batchHandler(answer);
    app.wire.handler = async (...args) => ({ ...((await handler(...args)) as WireAnswer), headers: {} });
    const [error] = await Promise.all([facts(read('b')), read('1')]);
    expect(error.code).toBe('MEDPLUM_FORBIDDEN');
  });

  it('is asked for again, by itself, if it failed for now', async () => {
    let isFirst = true;
    await start({}, (url, user) => {
      const fails = isFirst && url === 'Patient/2';
      isFirst &&= !fails;
      return fails ? { status: 429, body: outcome('too-many-requests', 'throttled', '', false) } : asked(url, user);
    });
    const found = await Promise.all(['1', '2', '3'].map((id) => read(id)));
    expect(found.map(({ id }) => id)).toEqual(['1', '2', '3']);
    expect(arrived()).toEqual(['POST Patient/1 Patient/2 Patient/3', 'GET Patient/2']);
    const attempts = app.events.find(({ resourceId }) => resourceId === '2')?.attempts;
    expect(attempts).toMatchObject([{ attempt: 1, status: 429, batchId: expect.any(String) }, { status: 200 }]);
    expect(attempts?.[1]?.batchId).toBeUndefined();
  });

  it('must be about what was asked for', async () => {
    await start({}, (url, user) => asked(url.replace('Patient/1', 'Patient/9'), user));
    const [mixedUp, fine] = await Promise.all([facts(read('1')), read('2')]);
    expect(mixedUp).toMatchObject({ code: 'MEDPLUM_PROTOCOL', effect: 'none', status: 200 });
    expect(fine.id).toBe('2');
  });

  it.each<readonly [string, unknown]>([
    ['no bundle', { resourceType: 'Patient', id: '1' }],
    ['a bundle of another type', { resourceType: 'Bundle', type: 'searchset', entry: [{}, {}] }],
    ['too few entries', { resourceType: 'Bundle', type: 'batch-response', entry: [{ response: { status: '200' } }] }],
    ['entries without anything', { resourceType: 'Bundle', type: 'batch-response', entry: [null, 5] }],
    [
      'entries without a resource',
      { resourceType: 'Bundle', type: 'batch-response', entry: [1, 2].map(() => ({ response: { status: '200' } })) },
    ],
    ['an HTML page', '<html>'],
    ['nothing', undefined],
  ])('is an error if the server answers with %s', async (_what, body) => {
    await start();
    app.wire.handler = () => ({ body });
    const errors = await Promise.all([
      facts(read('1')),
      facts(app.medplum.search('Patient', 'name=a', { onBehalfOf: ANN })),
    ]);
    expect(errors).toMatchObject([{ code: 'MEDPLUM_PROTOCOL' }, { code: 'MEDPLUM_PROTOCOL' }]);
    expect(errors[0]?.message).toMatch(/^GET \/fhir\/R4\/Patient\/\{id\} was answered with 200/);
    expect(app.wire.requests).toHaveLength(1);
  });

  it.each<readonly [string, WireAnswer]>([
    ['refuses the credentials', { status: 401, body: outcome('unauthorized', 'login', '') }],
    ['is busy', { status: 429, body: outcome('too-many-requests', 'throttled', '') }],
    ['fails', { status: 500, body: outcome('error', 'exception', '') }],
    ['is down', { status: 503, body: 'down' }],
    ['redirects', { status: 302, body: '' }],
    ['refuses the identity', { status: 403, body: outcome('forbidden', 'forbidden', 'Forbidden', false) }],
    ['resets the connection', { destroy: true }],
  ])('is the same error for all of them, each its own object, if the server %s', async (_what, given) => {
    await start({ retry: { maxRetries: 0 } });
    app.wire.handler = () => given;
    const work = [failureOf(read('1')), failureOf(read('2'))];
    const [one, two] = await Promise.all(work);
    expect(one).not.toBe(two);
    const alone = read('1', { onBehalfOf: ANN, batchReads: false });
    const expected = await facts(alone);
    for (const error of [one, two]) {
      expect(await facts(Promise.reject(error as Error))).toEqual(expected);
    }
    expect([one?.request?.path, two?.request?.path]).toEqual(['/fhir/R4/Patient/1', '/fhir/R4/Patient/2']);
  });

  it('is fetched by itself if the server or a proxy accepts no batch', async () => {
    await start();
    const handler = batchHandler(asked);
    app.wire.handler = (request, response) =>
      request.method === 'POST' ? { status: 405, body: 'no POST here' } : handler(request, response);
    expect((await Promise.all([read('1'), read('2')])).map(({ id }) => id)).toEqual(['1', '2']);
    expect(arrived()).toEqual(['POST Patient/1 Patient/2', 'GET Patient/1', 'GET Patient/2']);
    expect(app.events[0]?.attempts).toMatchObject([
      { status: 405, error: 'BATCH_REFUSED', batchId: expect.any(String) },
      { attempt: 2, status: 200 },
    ]);
  });

  it('is fetched by itself if the batch is larger than the client reads', async () => {
    const note = 'x'.repeat(3_000);
    await start({ maxResponseBytes: 4_000 }, (url, user) => {
      const { status, body } = asked(url, user);
      return { status, body: { ...body, note } };
    });
    expect((await Promise.all([read('1'), read('2')])).map(({ id }) => id)).toEqual(['1', '2']);
    expect(arrived()).toEqual(['POST Patient/1 Patient/2', 'GET Patient/1', 'GET Patient/2']);
  });

  it('comes with renewed credentials, again as a batch', async () => {
    let secret = 'old';
    await start({ clientSecret: () => secret });
    await read('0');
    secret = 'new';
    const valid = `Basic ${Buffer.from('client-1:new').toString('base64')}`;
    const handler = batchHandler(asked);
    app.wire.handler = (request, response) =>
      request.headers.authorization === valid
        ? handler(request, response)
        : { status: 401, body: outcome('unauthorized', 'login', '') };
    await Promise.all([read('1'), read('2')]);
    expect(arrived()).toEqual(['GET Patient/0', 'POST Patient/1 Patient/2', 'POST Patient/1 Patient/2']);
  });
});

describe('A caller that gives up', () => {
  it('harms no other', async () => {
    await start();
    const { open, opened } = gate();
    const handler = batchHandler(asked);
    app.wire.handler = async (...args) => (await opened, handler(...args));
    const controller = new AbortController();
    const given = failureOf(read('1', { onBehalfOf: ANN, signal: controller.signal }));
    const late = failureOf(read('2', { onBehalfOf: ANN, timeout: 50 }));
    const others = Promise.all([read('1'), read('3')]);
    await app.wire.received(1);
    controller.abort();
    expect(await given).toBeInstanceOf(MedplumAbortError);
    expect(await late).toMatchObject({ code: 'MEDPLUM_TIMEOUT', effect: 'none' });
    open();
    expect((await others).map(({ id }) => id)).toEqual(['1', '3']);
    expect(arrived()).toEqual(['POST Patient/1 Patient/2 Patient/3']);
  });

  it('before the batch is sent is not part of it', async () => {
    await start();
    const controller = new AbortController();
    const given = failureOf(read('1', { onBehalfOf: ANN, signal: controller.signal }));
    const other = read('2');
    controller.abort();
    expect(await given).toMatchObject({ code: 'MEDPLUM_ABORT' });
    await other;
    expect(arrived()).toEqual(['GET Patient/2']);
  });

  it('ends the request if it was the last one', async () => {
    await start();
    app.wire.handler = () => new Promise<undefined>(() => undefined);
    const controllers = [new AbortController(), new AbortController()];
    const work = controllers.map(({ signal }, id) => failureOf(read(String(id), { onBehalfOf: ANN, signal })));
    await app.wire.received(1);
    controllers[0]?.abort();
    await work[0];
    expect(app.wire.unanswered).toBe(1);
    controllers[1]?.abort();
    await work[1];
    await until(() => app.wire.unanswered === 0);
    expect(app.events).toMatchObject([1, 2].map(() => ({ outcome: 'error', attempts: [{ error: 'ABORTED' }] })));
  });
});

describe('The trail of a batch', () => {
  it('has one event per read, whose attempt names the batch', async () => {
    await start({}, (url, user) => (url === 'Patient/2' ? NOT_FOUND : asked(url, user)));
    await settled([read('1'), read('2'), read('1')]);
    expect(app.events).toHaveLength(3);
    const ids = new Set(app.events.map(({ attempts }) => attempts[0]?.batchId));
    expect([...ids]).toEqual([expect.stringMatching(/^[\da-f-]{36}$/)]);
    const shown = app.events.map(({ action, path, outcome: how, status, onBehalfOf, attempts, entries }) => ({
      action,
      path,
      how,
      status,
      onBehalfOf,
      entries,
      sentAs: attempts.map((attempt) => attempt.onBehalfOf),
    }));
    const event = { action: 'read', path: '/fhir/R4/Patient/1', how: 'success', status: 200, onBehalfOf: ANN };
    const expected = { ...event, entries: undefined, sentAs: [ANN] };
    expect(shown).toEqual(
      expect.arrayContaining([expected, { ...expected, path: '/fhir/R4/Patient/2', how: 'error', status: 404 }]),
    );
    expect(JSON.stringify(app.events[0])).toContain(`"batchId":"${[...ids][0]}"`);
    expect(app.events[0]?.toPhiAudit()).toMatchObject({ attempts: [{ batchId: [...ids][0], onBehalfOf: ANN }] });
  });

  it("waits for the sinks, read by read, with audit.mode 'require'", async () => {
    const recorded: string[] = [];
    let isFull = false;
    const write = (events: readonly RequestEvent[]) => {
      if (isFull) {
        return Promise.reject(new Error('full'));
      }
      recorded.push(...events.map(({ path }) => path));
      return Promise.resolve();
    };
    await start({ audit: { mode: 'require', sinks: [{ write }], writeTimeout: 50 } });
    const recordedInTime = ['1', '2'].map(async (id) => {
      await read(id);
      return recorded.includes(`/fhir/R4/Patient/${id}`);
    });
    expect(await Promise.all(recordedInTime)).toEqual([true, true]);
    isFull = true;
    const errors = await Promise.all([failureOf(read('3')), failureOf(read('4'))]);
    expect(errors.map(({ code }) => code)).toEqual(Array(2).fill('MEDPLUM_AUDIT_SINK'));
    expect(arrived()).toHaveLength(2);
    isFull = false;
  });

  it('keeps what the app says of each read, and does not mix purposes', async () => {
    let subject = '';
    await start({ auditContext: () => ({ subject }) });
    app.module.get(MedplumAudit).events$.subscribe(() => undefined);
    const work = ['a', 'a', 'b', 'b'].map((name, id) => ((subject = name), read(String(id))));
    await Promise.all(work);
    expect(arrived()).toEqual(['POST Patient/0 Patient/1', 'POST Patient/2 Patient/3']);
    expect(app.events.map(({ context }) => String(context?.subject)).toSorted()).toEqual(['a', 'a', 'b', 'b']);
  });

  it('has one trace per caller: reads of one trace share a batch, those of others do not', async () => {
    await start();
    await Promise.all([read('1', trace('a', '1')), read('2', trace('a', '2')), read('3', trace('b', '3'))]);
    expect(arrived()).toEqual(['POST Patient/1 Patient/2', 'GET Patient/3']);
    expect(app.wire.requests[0]?.headers.traceparent).toBe(trace('a', '1').headers.traceparent);
    expect(app.events.map(({ traceId }) => String(traceId?.[0])).toSorted()).toEqual(['a', 'a', 'b']);
  });
});

describe('beforeRequest', () => {
  it('sees each read, and what it changes counts', async () => {
    const seen: string[] = [];
    await start({
      beforeRequest: (prepared) => {
        seen.push(`${prepared.method} ${prepared.path}`);
        prepared.headers['x-gateway'] = 'key';
        if (prepared.path.endsWith('/2')) {
          prepared.path += '?_summary=true';
        }
        if (prepared.path.endsWith('/3')) {
          prepared.headers['x-tenant'] = 'other';
        }
      },
    });
    await Promise.all(['1', '2', '3'].map((id) => read(id)));
    expect(seen).toEqual(['1', '2', '3'].map((id) => `GET /fhir/R4/Patient/${id}`));
    expect(arrived()).toEqual(['POST Patient/1 Patient/2?_summary=true', 'GET Patient/3']);
    expect(app.wire.requests[0]?.headers['x-gateway']).toBe('key');
    expect(app.wire.requests[1]?.headers['x-tenant']).toBe('other');
  });
});

describe('Shutdown', () => {
  it('ends reads that share a batch', async () => {
    await start({ shutdownTimeout: 50 });
    app.wire.handler = () => new Promise<undefined>(() => undefined);
    const work = [failureOf(read('1')), failureOf(read(randomUUID()))];
    await app.wire.received(1);
    await app.module.close();
    expect((await Promise.all(work)).map(({ code }) => code)).toEqual(Array(2).fill('MEDPLUM_CONNECTION'));
  });
});
