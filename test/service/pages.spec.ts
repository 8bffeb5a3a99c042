import { type MedplumPageOptions, MedplumProtocolError, OnBehalfOfRequiredError } from 'nestjs-medplum';
import { collect } from '../support/collect';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import type { WireHandler } from '../support/wire-server';

let app: MedplumApp;

afterEach(() => app?.close());

/** Answers each page of a search with the next of these links. */
const linked =
  (...next: readonly unknown[]): WireHandler =>
  () => ({
    body: {
      resourceType: 'Bundle',
      type: 'searchset',
      entry: [{ resource: { resourceType: 'Patient', id: '1' } }],
      link: [
        { relation: 'self', url: 'https://elsewhere.example/' },
        { relation: 'next', url: next[app.wire.requests.length - 1] },
      ],
    },
  });

const start = (link: string, options = {}): Promise<MedplumApp> =>
  startMedplumApp(options, { handler: (request, response) => linked(link)(request, response) });

async function readAll(options: MedplumPageOptions = {}): Promise<number> {
  const pages = await collect(app.medplum.searchResourcePages('Patient', '', { onBehalfOf: 'm-1', ...options }));
  return pages.length;
}

it.each([
  ['another host', 'https://evil.example/fhir/R4/Patient?_offset=1'],
  ['another host without a scheme', '//evil.example/fhir/R4/Patient?_offset=1'],
  ['another host behind backslashes', String.raw`\\evil.example/fhir/R4/Patient?_offset=1`],
  ['another host behind a tab', '\t//evil.example/fhir/R4/Patient?_offset=1'],
  ['another scheme', 'ftp://127.0.0.1/fhir/R4/Patient?_offset=1'],
  ['another port', 'http://127.0.0.1:1/fhir/R4/Patient?_offset=1'],
  ['a user', 'http://x@127.0.0.1/fhir/R4/Patient?_offset=1'],
  ['another type', 'fhir/R4/Observation?_offset=1'],
  ['another path', 'oauth2/token?_offset=1'],
  ['another path through dots', 'fhir/R4/../../admin/Patient?_offset=1'],
  ['a resource', 'fhir/R4/Patient/1?_offset=1'],
  ['no query', 'fhir/R4/Patient'],
  ['something that is not text', 5],
])('A link to the next page is not followed if it leads to %s', async (_where, link) => {
  app = await startMedplumApp({}, { handler: (request, response) => linked(link)(request, response) });
  await expect(readAll()).rejects.toThrow(MedplumProtocolError);
  expect(app.wire.requests).toHaveLength(1);
});

it('A link to the next page may be relative', async () => {
  app = await startMedplumApp(
    {},
    { handler: (request, response) => linked('fhir/R4/Patient?_offset=1')(request, response) },
  );
  expect(await readAll()).toBe(2);
  expect(app.wire.requests[1]?.path).toBe('/fhir/R4/Patient?_offset=1');
});

describe('A server that uses another address for itself', () => {
  const publicUrl = 'https://fhir.example.com/medplum/';

  it('is paged through at the address that the client uses', async () => {
    app = await start(`${publicUrl}fhir/R4/Patient?_offset=1`, { publicUrl });
    expect(await readAll()).toBe(2);
    expect(app.wire.requests[1]?.path).toBe('/fhir/R4/Patient?_offset=1');
  });

  it.each([
    'https://fhir.example.com/fhir/R4/Patient?_offset=1',
    'https://fhir.example.com.evil.example/medplum/fhir/R4/Patient?_offset=1',
    'https://evil.example/medplum/fhir/R4/Patient?_offset=1',
    '//fhir.example.com/medplum/fhir/R4/Patient?_offset=1',
  ])('is not requested at other addresses: %s', async (link) => {
    app = await start(link, { publicUrl });
    await expect(readAll()).rejects.toThrow(MedplumProtocolError);
    expect(app.wire.requests).toHaveLength(1);
  });

  it('is taken for another server if the option publicUrl is not set', async () => {
    app = await start(`${publicUrl}fhir/R4/Patient?_offset=1`);
    await expect(readAll()).rejects.toThrow(/publicUrl/);
  });
});

it('Pages whose links form a circle are an error', async () => {
  const links = ['fhir/R4/Patient?_offset=1', 'fhir/R4/Patient?_offset=2', 'fhir/R4/Patient?_offset=1'];
  app = await startMedplumApp({}, { handler: (request, response) => linked(...links)(request, response) });
  await expect(readAll()).rejects.toThrow(/circle/);
  expect(app.wire.requests).toHaveLength(3);
});

it('More pages than maxPages are an error', async () => {
  const links = Array.from({ length: 9 }, (_, i) => `fhir/R4/Patient?_offset=${i}`);
  app = await startMedplumApp({}, { handler: (request, response) => linked(...links)(request, response) });
  await expect(readAll({ maxPages: 3 })).rejects.toThrow(/maxPages/);
  expect(app.wire.requests).toHaveLength(3);
});

it('Each page is read for the identity of the call, whatever the scope of the reader', async () => {
  const links = ['fhir/R4/Patient?_offset=1', 'fhir/R4/Patient?_offset=2'];
  app = await startMedplumApp({}, { handler: (request, response) => linked(...links)(request, response) });
  const { medplum } = app;
  const pages = medplum.onBehalfOf('m-1', () => medplum.searchResourcePages('Patient'));
  await pages.next();
  await medplum.onBehalfOf('m-2', () => pages.next());
  await medplum.asClientApplication(() => pages.next());
  expect(app.wire.identities).toEqual(['ProjectMembership/m-1', 'ProjectMembership/m-1', 'ProjectMembership/m-1']);
  await expect(medplum.searchResourcePages('Patient').next()).rejects.toThrow(OnBehalfOfRequiredError);
});

it.each([{ maxPages: 0 }, { maxResources: -1 }, { maxResources: 1.5 }, { maxPages: '9' as unknown as number }])(
  'The limit %j is refused, and nothing is sent',
  async (limit) => {
    app = await startMedplumApp();
    const patients = app.medplum.iterateResources('Patient', '', { onBehalfOf: 'm-1', ...limit });
    await expect(patients.next()).rejects.toThrow(/whole numbers/);
    expect(app.wire.requests).toEqual([]);
  },
);
