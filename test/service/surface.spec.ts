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

/** Returns the names of all members that users can reach on an object; those of groups as `group.method`. */
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

/** Uses a method, and reads the iterators and streams that it returns. */
async function use(row: SurfaceRow, options: object, within = (fn: () => unknown) => fn()): Promise<void> {
  await consume(await within(() => row(app.medplum, options)));
}

it('has a row for every method, and no other rows', () => {
  expect(Object.keys(SURFACE).toSorted()).toEqual(
    members(app.medplum)
      .filter((name) => !WITHOUT_REQUEST.includes(name))
      .toSorted(),
  );
});

const administrative = Object.entries(SURFACE).filter(([name]) => ADMINISTRATIVE.has(name));
const others = Object.entries(SURFACE).filter(([name]) => !ADMINISTRATIVE.has(name));

describe.each(others)('%s', (_name, row) => {
  it('sends every request for the identity of its options', async () => {
    await use(row, { onBehalfOf: 'm-1' });
    expect(app.wire.requests.length).toBeGreaterThan(0);
    expect(new Set(app.wire.identities)).toEqual(new Set(['ProjectMembership/m-1']));
  });

  it('sends every request for the identity of the scope in which it was called, wherever its result is read', async () => {
    await use(row, {}, (fn) => app.medplum.onBehalfOf('m-2', fn));
    expect(new Set(app.wire.identities)).toEqual(new Set(['ProjectMembership/m-2']));
  });

  it('sends every request for the identity of actingAs()', async () => {
    await use((medplum, options) => row(medplum.actingAs('m-3'), options), {});
    expect(new Set(app.wire.identities)).toEqual(new Set(['ProjectMembership/m-3']));
  });

  it('is refused without an identity and for an undefined one, and sends nothing', async () => {
    await expect(use(row, {})).rejects.toThrow(OnBehalfOfRequiredError);
    await expect(use(row, { onBehalfOf: undefined })).rejects.toMatchObject({ code: 'MEDPLUM_ON_BEHALF_OF_REFERENCE' });
    expect(app.wire.requests).toEqual([]);
  });
});

describe.each(administrative)('%s', (_name, row) => {
  it('runs as the client itself, whatever the scope', async () => {
    await use(row, {}, (fn) => app.medplum.onBehalfOf('m-2', fn));
    expect(app.wire.requests.length).toBeGreaterThan(0);
    expect(new Set(app.wire.identities)).toEqual(new Set([undefined]));
    expect(app.events[0]).toMatchObject({ identitySource: 'client-application', reason: 'memberships' });
  });

  it('refuses every identity, and sends nothing', async () => {
    for (const onBehalfOf of ['m-1', undefined]) {
      await expect(use(row, { onBehalfOf })).rejects.toMatchObject({ code: 'MEDPLUM_ON_BEHALF_OF_REFERENCE' });
    }
    expect(app.wire.requests).toEqual([]);
  });
});

describe.each(Object.entries(SURFACE))('%s', (name, row) => {
  const who = ADMINISTRATIVE.has(name) ? {} : { onBehalfOf: 'm-1' };

  it('publishes one event for each request, all with the same operation id', async () => {
    await use(row, who);
    expect(app.events.map((event) => event.method)).toEqual(app.wire.requests.map(({ method }) => method));
    expect(new Set(app.events.map((event) => event.operationId)).size).toBe(1);
    expect(app.events.filter((event) => event.outcome !== 'success')).toEqual([]);
  });

  it('sends the headers of its options with every request', async () => {
    await use(row, { ...who, headers: { 'x-trace-id': 't-1' } });
    expect(new Set(app.wire.requests.map(({ headers }) => headers['x-trace-id']))).toEqual(new Set(['t-1']));
  });

  it('refuses unknown options and headers of the library, and sends nothing', async () => {
    await expect(use(row, { ...who, onbehalfOf: 'm-1' })).rejects.toThrow(/onbehalfOf is not an option/);
    const headers = { 'X-Medplum-On-Behalf-Of': 'ProjectMembership/other' };
    await expect(use(row, { ...who, headers })).rejects.toMatchObject({ code: 'MEDPLUM_BAD_REQUEST' });
    expect(app.wire.requests).toEqual([]);
  });

  it('sends nothing if its signal is already aborted', async () => {
    const signal = AbortSignal.abort();
    await expect(use(row, { ...who, signal })).rejects.toMatchObject({ code: 'MEDPLUM_ABORT' });
    expect(app.wire.requests).toEqual([]);
  });
});
