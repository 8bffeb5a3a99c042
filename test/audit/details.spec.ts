import { AsyncLocalStorage } from 'node:async_hooks';
import { Logger } from '@nestjs/common';
import type { MedplumAuditContext, RequestEvent } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import type { WireAnswer } from '../support/wire-server';

/** What an app knows about the request that it serves. */
const session = new AsyncLocalStorage<MedplumAuditContext>();
const onBehalfOf = 'm-1';

let app: MedplumApp;

beforeAll(async () => (app = await startMedplumApp({ auditContext: () => session.getStore() })));
afterAll(() => app.close());

/** The event of one call that gets the given response. */
async function eventOf(answer: WireAnswer['body'], call: () => Promise<unknown>): Promise<RequestEvent> {
  app.wire.handler = () => ({ body: answer });
  await call();
  return app.events.at(-1) ?? fail('There was no event.');
}

function fail(text: string): never {
  throw new Error(text);
}

const put = (id: string) => ({
  request: { method: 'PUT' as const, url: `Patient/${id}` },
  resource: { resourceType: 'Patient' as const, id },
});
const read = (headers: Record<string, string> = {}) =>
  eventOf({ resourceType: 'Patient', id: '1' }, () =>
    app.medplum.readResource('Patient', '1', { onBehalfOf, headers }),
  );

describe('The event of a search', () => {
  it('counts the returned resources by type, and names them only in an audit trail', async () => {
    const event = await eventOf(
      {
        resourceType: 'Bundle',
        type: 'searchset',
        total: 31,
        entry: [
          { resource: { resourceType: 'Patient', id: 'homer', name: [{ family: 'Simpson' }] } },
          { resource: { resourceType: 'Patient', id: 'marge' } },
          { resource: { resourceType: 'Practitioner', id: 'hibbert' }, search: { mode: 'include' } },
          { resource: { resourceType: 'Patient', id: 'homer' } },
        ],
      },
      () => app.medplum.search('Patient', { name: 'Simpson' }, { onBehalfOf }),
    );
    expect(event.toJSON()).toMatchObject({ returned: { count: 4, total: 31, types: { Patient: 3, Practitioner: 1 } } });
    expect(event.toPhiAudit()).toMatchObject({
      references: ['Patient/homer', 'Patient/marge', 'Practitioner/hibbert'],
    });
    expect(JSON.stringify(event)).not.toMatch(/homer|Simpson/i);
  });

  it('names at most a hundred resources, and counts all of them', async () => {
    const entry = Array.from({ length: 250 }, (_, i) => ({ resource: { resourceType: 'Patient', id: `p-${i}` } }));
    const event = await eventOf({ resourceType: 'Bundle', entry }, () =>
      app.medplum.search('Patient', {}, { onBehalfOf }),
    );
    expect(event.returned).toEqual({ count: 250, types: { Patient: 250 } });
    expect(event.references).toHaveLength(100);
  });

  it('counts a malformed resource type of the response as other', async () => {
    const odd = [{ resourceType: 'homer simpson', id: 'x' }, { resourceType: 'Patient', id: '../1' }, null, 1];
    const event = await eventOf(
      { resourceType: 'Bundle', entry: [...odd.map((resource) => ({ resource })), null] },
      () => app.medplum.search('Patient', {}, { onBehalfOf }),
    );
    expect(event.returned).toEqual({ count: 5, types: { other: 4, Patient: 1 } });
    expect(event.references).toEqual([]);
  });
});

describe('The event of a bundle', () => {
  const post = { request: { method: 'POST' as const, url: 'Task' }, resource: { resourceType: 'Task' as const } };

  it('lists types, counts and statuses of its entries, and names the resources only in an audit trail', async () => {
    const event = await eventOf(
      {
        resourceType: 'Bundle',
        type: 'transaction-response',
        entry: [
          { response: { status: '200 OK' } },
          { response: { status: '412' } },
          { response: { status: '200' } },
          { response: { status: '201', location: 'Task/t-1/_history/5' } },
          { response: { status: '200' } },
        ],
      },
      () =>
        app.medplum.executeBatch(
          {
            resourceType: 'Bundle',
            type: 'transaction',
            entry: [
              put('homer'),
              put('marge'),
              put('bart'),
              post as never,
              { request: { method: 'GET', url: 'Patient?name=Simpson' } },
            ],
          },
          { onBehalfOf },
        ),
    );
    expect(event.toJSON()).toMatchObject({
      action: 'transaction',
      entries: [
        { method: 'PUT', resourceType: 'Patient', status: 200, count: 2 },
        { method: 'PUT', resourceType: 'Patient', status: 412, count: 1 },
        { method: 'POST', resourceType: 'Task', status: 201, count: 1 },
        { method: 'GET', resourceType: 'Patient', status: 200, count: 1 },
      ],
    });
    expect(event.references).toEqual(['Patient/homer', 'Patient/marge', 'Patient/bart', 'Task/t-1']);
    expect(JSON.stringify(event)).not.toMatch(/homer|Simpson|t-1/);
  });

  it('stays small when its entries are of very many types, and still counts each of them', async () => {
    const types = Array.from(
      { length: 200 },
      (_, i) => `Type${String.fromCharCode(65 + (i % 26), 65 + Math.floor(i / 26))}`,
    );
    const names = [...types, ...types];
    const event = await eventOf(
      { resourceType: 'Bundle', type: 'batch-response', entry: names.map(() => ({ response: { status: '200' } })) },
      () =>
        app.medplum.executeBatch(
          {
            resourceType: 'Bundle',
            type: 'batch',
            entry: names.map((type) => ({ request: { method: 'GET' as const, url: `${type}?_count=1` } })),
          },
          { onBehalfOf },
        ),
    );
    const entries = event.entries ?? [];
    expect(entries.length).toBeLessThan(110);
    expect(entries.reduce((sum, { count }) => sum + count, 0)).toBe(400);
    // The first types are told apart also when they come again at the end.
    expect(entries[0]).toEqual({ method: 'GET', resourceType: 'TypeAA', status: 200, count: 2 });
    expect(entries.at(-1)).not.toHaveProperty('resourceType');
  });

  it('tells the resources of a response of very many types in "other"', async () => {
    const entry = Array.from({ length: 300 }, (_, i) => ({
      resource: { resourceType: `Type${'x'.repeat(i % 150)}`, id: `r-${i}` },
    }));
    const event = await eventOf({ resourceType: 'Bundle', type: 'searchset', entry: [null, {}, ...entry] }, () =>
      app.medplum.search('Patient', {}, { onBehalfOf }),
    );
    const { count, types } = event.returned ?? {};
    expect(count).toBe(302);
    expect(Object.keys(types ?? {}).length).toBeLessThan(110);
    expect(Object.values(types ?? {}).reduce((sum, n) => sum + n, 0)).toBe(302);
    expect(types?.['other']).toBeGreaterThan(2);
  });

  it('lists what was sent when there was no response', async () => {
    app.wire.handler = () => ({ destroy: true });
    await app.medplum
      .executeBatch({ resourceType: 'Bundle', type: 'batch', entry: [put('homer')] }, { onBehalfOf })
      .catch(() => undefined);
    expect(app.events.at(-1)).toMatchObject({
      outcome: 'error',
      entries: [{ method: 'PUT', resourceType: 'Patient', count: 1 }],
      references: ['Patient/homer'],
    });
  });
});

describe('The event of a write', () => {
  it('names the id and the version that the server assigned', async () => {
    const event = await eventOf({ resourceType: 'Patient', id: 'homer', meta: { versionId: 'v-2' } }, () =>
      app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf }),
    );
    expect(event).toMatchObject({ resourceId: 'homer', resourceVersion: 'v-2' });
    expect(event.toPhiAudit()).toMatchObject({ resourceId: 'homer', resourceVersion: 'v-2' });
    expect(JSON.stringify(event)).not.toMatch(/homer|v-2/);
  });
});

describe('An event can be correlated', () => {
  it('with the events before and after it, so that a gap shows a lost one', async () => {
    const [first, second] = [await read(), await read()];
    expect(first.instanceId).toMatch(/^[\da-f-]{36}$/);
    expect(second).toMatchObject({ instanceId: first.instanceId, seq: first.seq + 1 });
  });

  it.each([
    ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', '0af7651916cd43dd8448eb211c80319c'],
    ['x-trace-id', '0af76519-16cd-43dd-8448-eb211c80319c', '0af76519-16cd-43dd-8448-eb211c80319c'],
    ['traceparent', 'Homer Simpson', undefined],
    ['x-trace-id', 'Homer Simpson', undefined],
  ])('with a trace by its header %s: %s', async (name, value, traceId) => {
    expect((await read({ [name]: value })).toJSON()['traceId']).toBe(traceId);
  });

  it('with the trace that the app names, when the call sends none', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    expect((await session.run({ traceId }, () => read())).traceId).toBe(traceId);
    const other = '00-11111111111111111111111111111111-b7ad6b7169203331-01';
    expect((await session.run({ traceId }, () => read({ traceparent: other }))).traceId).toBe('1'.repeat(32));
  });

  it('with the end user that the app knows at the time of the call', async () => {
    const context = { purposeOfUse: 'BTG', subject: 'auth0|7', actor: 'supervisor', address: '192.0.2.1' };
    const event = await session.run(context, () => read());
    expect(event.context).toEqual({ ...context, purposeOfUse: ['BTG'] });
    expect(Object.isFrozen(event.context)).toBe(true);
    expect(event.toPhiAudit()).toMatchObject({ context: { actor: 'supervisor' } });
    expect(JSON.stringify(event)).not.toMatch(/BTG|auth0|supervisor|192\.0\.2/);
    expect((await read()).context).toBeUndefined();
  });

  it('with the end user, also for a refused call and for each page of an iterator that is consumed elsewhere', async () => {
    await session.run({ subject: 'a' }, () => app.medplum.readResource('Patient', '1').catch(() => undefined));
    expect(app.events.at(-1)).toMatchObject({ outcome: 'refused', context: { subject: 'a' } });

    const pages = session.run({ subject: 'b' }, () => app.medplum.searchResourcePages('Patient', {}, { onBehalfOf }));
    const event = await eventOf({ resourceType: 'Bundle' }, () => session.run({ subject: 'c' }, () => pages.next()));
    expect(event.context).toEqual({ subject: 'b' });
  });
});

describe('The auditContext of the options', () => {
  it('does not fail a call when it throws, and the warning does not quote its error', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const broken = await startMedplumApp({
      auditContext: () => fail('Homer Simpson'),
    });
    try {
      await broken.medplum.readResource('Patient', '1', { onBehalfOf });
      expect(broken.events).toMatchObject([{ outcome: 'success', context: undefined }]);
      expect(warn.mock.calls).toEqual([
        [
          'The auditContext function failed: Error. The event of this call has no context. Mend the function in the options of MedplumModule.',
        ],
      ]);
    } finally {
      await broken.close();
      warn.mockRestore();
    }
  });

  it('keeps only texts, and cuts long ones', async () => {
    const odd = { subject: 1, actor: 'x'.repeat(1_000), purposeOfUse: ['TREAT', {}, ''], more: 'x', address: '' };
    const event = await session.run(odd as never, () =>
      eventOf({ resourceType: 'Patient', id: '1' }, () => app.medplum.readResource('Patient', '1', { onBehalfOf })),
    );
    expect(event.context).toEqual({ actor: 'x'.repeat(256), purposeOfUse: ['TREAT'] });
  });

  it('leaves out purposes that are no codes, with one warning that does not quote them', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const bad = ['taint ', ' taint', 'taint  taint', 'taint\ttaint', '\u00a0', 'taint\u0000', 'taint'.repeat(100), {}];
    const odd = await startMedplumApp({
      auditContext: () => ({ purposeOfUse: [...bad, 'TREAT', 'A B'] as string[], subject: '  ' }),
    });
    try {
      await odd.medplum.readResource('Patient', '1', { onBehalfOf });
      await odd.medplum.readResource('Patient', '1', { onBehalfOf });
      expect(odd.events.map(({ context }) => context)).toEqual([
        { purposeOfUse: ['TREAT', 'A B'] },
        { purposeOfUse: ['TREAT', 'A B'] },
      ]);
      expect(warn.mock.calls).toEqual([
        [
          'The auditContext function returned a purposeOfUse that is not a FHIR code, so events leave it out. Return codes of v3-ActReason, such as TREAT, without blanks around them.',
        ],
      ]);
    } finally {
      await odd.close();
      warn.mockRestore();
    }
  });
});
