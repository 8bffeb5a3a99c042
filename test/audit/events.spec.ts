import { isMedplumError, MedplumAudit, type MedplumService, type RequestEvent } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { FAULTS } from '../support/wire-faults';
import { outcome, type WireHandler } from '../support/wire-server';

let app: MedplumApp;

beforeAll(async () => (app = await startMedplumApp({ retry: { maxRetries: 1, minTimeout: 1 }, timeout: 20_000 })));
afterAll(() => app.close());

const onBehalfOf = 'm-1';
const read = (medplum: MedplumService) => medplum.readResource('Patient', '1', { onBehalfOf });
const create = (medplum: MedplumService) => medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf });
const answer =
  (status: number): WireHandler =>
  () => ({ status, body: outcome('id', 'code', 'Text') });

/** The one event of a call. */
async function eventOf(
  call: (medplum: MedplumService) => Promise<unknown>,
  handler?: WireHandler,
): Promise<RequestEvent> {
  app.wire.handler = handler ?? (() => ({ body: { resourceType: 'Patient', id: '1' } }));
  const before = app.events.length;
  await call(app.medplum).catch((error: unknown) => {
    if (!isMedplumError(error)) {
      throw error;
    }
  });
  const [event, ...others] = app.events.slice(before);
  expect(others).toEqual([]);
  if (!event) {
    throw new Error('There was no event.');
  }
  return event;
}

describe('A call publishes one event', () => {
  const identity = 'ProjectMembership/m-1';
  const named = { onBehalfOf: identity, identitySource: 'call' };

  it.each<readonly [string, (medplum: MedplumService) => Promise<unknown>, WireHandler | undefined, object]>([
    [
      'of a success',
      read,
      undefined,
      {
        ...named,
        client: 'default',
        action: 'read',
        method: 'GET',
        outcome: 'success',
        effect: 'none',
        status: 200,
        path: '/fhir/R4/Patient/1',
        pathTemplate: '/fhir/R4/Patient/{id}',
        resourceType: 'Patient',
        resourceId: '1',
        error: undefined,
        attempts: [{ attempt: 1, status: 200, onBehalfOf: identity }],
      },
    ],
    ['of a write', create, undefined, { ...named, action: 'create', outcome: 'success', effect: 'happened' }],
    [
      'of a 4xx',
      read,
      answer(404),
      {
        ...named,
        outcome: 'error',
        effect: 'none',
        status: 404,
        error: { name: 'MedplumNotFoundError', code: 'MEDPLUM_NOT_FOUND' },
        requestId: '00000000-0000-4000-8000-000000000001',
        attempts: [{ status: 404 }],
      },
    ],
    [
      'of a 5xx that was retried',
      read,
      answer(503),
      { outcome: 'error', effect: 'none', status: 503, attempts: [{ status: 503 }, { status: 503 }] },
    ],
    [
      'of a 5xx in response to a write',
      create,
      answer(503),
      { outcome: 'error', effect: 'unknown', status: 503, attempts: [{ status: 503 }] },
    ],
    [
      'of a broken connection',
      create,
      FAULTS['reset before headers'],
      {
        outcome: 'error',
        effect: 'unknown',
        status: undefined,
        attempts: [{ error: 'ECONNRESET', status: undefined }],
      },
    ],
    [
      'of a call without an identity',
      (medplum) => medplum.readResource('Patient', '1'),
      undefined,
      {
        outcome: 'refused',
        effect: 'none',
        attempts: [],
        onBehalfOf: undefined,
        identitySource: undefined,
        path: '/fhir/R4/Patient/1',
        resourceId: '1',
        error: { code: 'MEDPLUM_ON_BEHALF_OF_REQUIRED' },
      },
    ],
    [
      'of a malformed identity',
      (medplum) => medplum.readResource('Patient', '1', { onBehalfOf: 'a,b' }),
      undefined,
      { outcome: 'refused', attempts: [], error: { code: 'MEDPLUM_ON_BEHALF_OF_REFERENCE' } },
    ],
    [
      'of a malformed id',
      (medplum) => medplum.readResource('Patient', '../1', { onBehalfOf }),
      undefined,
      {
        ...named,
        outcome: 'refused',
        attempts: [],
        action: 'read',
        path: '/fhir/R4/{type}/{id}',
        resourceId: undefined,
        error: { code: 'MEDPLUM_BAD_REQUEST' },
      },
    ],
    [
      'of an unknown option',
      (medplum) => medplum.readResource('Patient', '1', { onBehalfof: 'm-1' } as object),
      undefined,
      { outcome: 'refused', attempts: [], error: { code: 'MEDPLUM_BAD_REQUEST' } },
    ],
    [
      'of a header that is refused',
      (medplum) => medplum.readResource('Patient', '1', { onBehalfOf, headers: { Authorization: 'x' } }),
      undefined,
      { ...named, outcome: 'refused', attempts: [], error: { code: 'MEDPLUM_BAD_REQUEST' } },
    ],
    [
      'of a call that was aborted before it was sent',
      (medplum) => medplum.readResource('Patient', '1', { onBehalfOf, signal: AbortSignal.abort() }),
      undefined,
      { ...named, outcome: 'refused', attempts: [], error: { code: 'MEDPLUM_ABORT' } },
    ],
    [
      'of a call that was aborted while it was running',
      (medplum) => {
        const controller = new AbortController();
        const call = medplum.readResource('Patient', '1', { onBehalfOf, signal: controller.signal });
        app.wire.handler = () => {
          controller.abort();
          return undefined;
        };
        return call;
      },
      undefined,
      {
        ...named,
        outcome: 'error',
        attempts: [{ error: 'ABORTED', onBehalfOf: identity }],
        error: { code: 'MEDPLUM_ABORT' },
      },
    ],
    [
      'of a call with a cleared identity',
      (medplum) => medplum.readResource('Patient', '1', { onBehalfOf: '' }),
      undefined,
      { onBehalfOf: undefined, identitySource: 'cleared', attempts: [{ onBehalfOf: null }] },
    ],
    [
      'of a call as the client, with the reason',
      (medplum) =>
        medplum.asClientApplication(() => medplum.readResource('Patient', '1'), { reason: 'nightly import' }),
      undefined,
      {
        onBehalfOf: undefined,
        identitySource: 'client-application',
        reason: 'nightly import',
        attempts: [{ onBehalfOf: null }],
      },
    ],
  ])('%s', async (_case, call, handler, expected) => {
    const event = await eventOf(call, handler);
    expect(event).toMatchObject(expected);
    expect(event.id).toMatch(/^[\da-f-]{36}$/);
    expect(event.durationMs).toBeGreaterThanOrEqual(0);
    expect(event.endedAt.getTime()).toBeGreaterThanOrEqual(event.startedAt.getTime());
    expect(Object.isFrozen(event) && Object.isFrozen(event.attempts) && event.attempts.every(Object.isFrozen)).toBe(
      true,
    );
  });

  it('that has the query apart from the path', async () => {
    const event = await eventOf(
      (medplum) => medplum.search('Patient', { name: ['Homer', 'Marge'], active: true }, { onBehalfOf }),
      () => ({ body: { resourceType: 'Bundle', type: 'searchset' } }),
    );
    expect(event).toMatchObject({
      action: 'search',
      path: '/fhir/R4/Patient',
      pathTemplate: '/fhir/R4/Patient',
      query: { name: ['Homer,Marge'], active: ['true'] },
    });
  });

  it('before its caller continues', async () => {
    await eventOf(async (medplum) => {
      const before = app.events.length;
      await read(medplum);
      expect(app.events).toHaveLength(before + 1);
    });
  });
});

describe('The events', () => {
  it('come from all clients of the app, and complete when it shuts down', async () => {
    const other = await startMedplumApp();
    const ended = jest.fn();
    const audit = other.module.get(MedplumAudit);
    audit.events$.subscribe({ complete: ended });
    await other.close();
    expect(ended).toHaveBeenCalledTimes(1);
    const late = jest.fn();
    audit.events$.subscribe({ complete: late });
    expect(late).toHaveBeenCalledTimes(1);
  });
});

it('the event of a call that got no token has no status, because nothing answered the call', async () => {
  const other = await startMedplumApp(
    { auth: 'client-credentials', retry: { maxRetries: 0 } },
    { handler: ({ path }) => (path === '/oauth2/token' ? { status: 401, body: { error: 'invalid_client' } } : {}) },
  );
  try {
    const error = await read(other.medplum).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'MEDPLUM_UNAUTHORIZED' });
    expect(other.events).toHaveLength(1);
    expect(other.events[0]).toMatchObject({ attempts: [], error: { code: 'MEDPLUM_UNAUTHORIZED' } });
    expect(other.events[0]?.status).toBeUndefined();
  } finally {
    await other.close();
  }
});
