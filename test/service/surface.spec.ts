import { OnBehalfOfRequiredError } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import type { WireHandler } from '../support/wire-server';
import { ADMINISTRATIVE, consume, SURFACE, type SurfaceRow, WITHOUT_REQUEST } from './surface';
import { surfaceHandler } from './surface-server';

let app: MedplumApp;

beforeAll(async () => {
  app = await startMedplumApp({}, { handler: (request, response) => handler(request, response) });
});
beforeEach(() => {
  app.wire.requests.length = 0;
  app.events.length = 0;
});
afterAll(() => app.close());

const handler: WireHandler = (request) => surfaceHandler(request, app.wire.baseUrl);

/** Names of everything that users can reach on an object: `group.method` for groups. */
function members(value: object, prefix = ''): string[] {
  const names: string[] = [];
  for (let level = value; level !== Object.prototype; level = Object.getPrototypeOf(level) as object) {
    names.push(...Object.getOwnPropertyNames(level).filter((name) => !['constructor', 'calls'].includes(name)));
  }
  return [...new Set(names)].flatMap((name) => {
    const member: unknown = (value as Record<string, unknown>)[name];
    return typeof member === 'object' && member !== null ? members(member, `${name}.`) : [prefix + name];
  });
}

/** Uses a method to the end: iterators and streams are read. */
async function use(row: SurfaceRow, options: object, within = (fn: () => unknown) => fn()): Promise<void> {
  await consume(await within(() => row(app.medplum, options)));
}

it('has a row for every method, and no other', () => {
  expect(Object.keys(SURFACE).toSorted()).toEqual(
    members(app.medplum)
      .filter((name) => !WITHOUT_REQUEST.includes(name))
      .toSorted(),
  );
});

const administrative = Object.entries(SURFACE).filter(([name]) => ADMINISTRATIVE.has(name));
const others = Object.entries(SURFACE).filter(([name]) => !ADMINISTRATIVE.has(name));

describe.each(others)('%s', (_name, row) => {
  it('sends every request for the identity that the call names', async () => {
    await use(row, { onBehalfOf: 'm-1' });
    expect(app.wire.requests.length).toBeGreaterThan(0);
    expect(new Set(app.wire.identities)).toEqual(new Set(['ProjectMembership/m-1']));
  });

  it('sends every request for the identity of the scope in which it was called, wherever it is consumed', async () => {
    await use(row, {}, (fn) => app.medplum.onBehalfOf('m-2', fn));
    expect(new Set(app.wire.identities)).toEqual(new Set(['ProjectMembership/m-2']));
  });

  it('sends every request for whom actingAs() names', async () => {
    await use((medplum, options) => row(medplum.actingAs('m-3'), options), {});
    expect(new Set(app.wire.identities)).toEqual(new Set(['ProjectMembership/m-3']));
  });

  it('is refused for nobody, and for an identity that is not said, with nothing sent', async () => {
    await expect(use(row, {})).rejects.toThrow(OnBehalfOfRequiredError);
    await expect(use(row, { onBehalfOf: undefined })).rejects.toMatchObject({ code: 'MEDPLUM_ON_BEHALF_OF_REFERENCE' });
    expect(app.wire.requests).toEqual([]);
  });
});

describe.each(administrative)('%s', (_name, row) => {
  it('is done as the client itself, whatever is in force around it', async () => {
    await use(row, {}, (fn) => app.medplum.onBehalfOf('m-2', fn));
    expect(app.wire.requests.length).toBeGreaterThan(0);
    expect(new Set(app.wire.identities)).toEqual(new Set([undefined]));
    expect(app.events[0]).toMatchObject({ identitySource: 'client-application', reason: 'memberships' });
  });

  it('is not done for anybody', async () => {
    for (const onBehalfOf of ['m-1', undefined]) {
      await expect(use(row, { onBehalfOf })).rejects.toMatchObject({ code: 'MEDPLUM_ON_BEHALF_OF_REFERENCE' });
    }
    expect(app.wire.requests).toEqual([]);
  });
});

describe.each(Object.entries(SURFACE))('%s', (name, row) => {
  const who = ADMINISTRATIVE.has(name) ? {} : { onBehalfOf: 'm-1' };

  it('publishes one event per request, all of them parts of one operation', async () => {
    await use(row, who);
    expect(app.events.map((event) => event.method)).toEqual(app.wire.requests.map(({ method }) => method));
    expect(new Set(app.events.map((event) => event.operationId)).size).toBe(1);
    expect(app.events.filter((event) => event.outcome !== 'success')).toEqual([]);
  });

  it('sends its further headers with every request', async () => {
    await use(row, { ...who, headers: { 'x-trace-id': 't-1' } });
    expect(new Set(app.wire.requests.map(({ headers }) => headers['x-trace-id']))).toEqual(new Set(['t-1']));
  });

  it('takes no option that it does not know, and no header of the library, with nothing sent', async () => {
    await expect(use(row, { ...who, onbehalfOf: 'm-1' })).rejects.toThrow(/onbehalfOf is not an option/);
    const headers = { 'X-Medplum-On-Behalf-Of': 'ProjectMembership/other' };
    await expect(use(row, { ...who, headers })).rejects.toMatchObject({ code: 'MEDPLUM_BAD_REQUEST' });
    expect(app.wire.requests).toEqual([]);
  });

  it('ends when its signal does, before anything is sent', async () => {
    const signal = AbortSignal.abort();
    await expect(use(row, { ...who, signal })).rejects.toMatchObject({ code: 'MEDPLUM_ABORT' });
    expect(app.wire.requests).toEqual([]);
  });
});
