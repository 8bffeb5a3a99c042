import { MedplumBadRequestError, type MedplumService } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

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

it.each([
  ['fhir/R4/Patient/Smith-1?name=x', '/fhir/R4/Patient/Smith-1?name=x', '/fhir/R4/Patient/{id}'],
  ['/admin/projects/p-1/invite', '/admin/projects/p-1/invite', '/admin/projects/{id}/invite'],
  ['fhir/R4/Patient/Smith/$my-op', '/fhir/R4/Patient/Smith/$my-op', '/fhir/R4/Patient/{id}/$my-op'],
])('get(%j) requests %s, and the event shows %s without PHI', async (path, sent, pathTemplate) => {
  await medplum.get(path);
  expect(app.wire.requests[0]?.path).toBe(sent);
  expect(app.events[0]).toMatchObject({ action: 'raw', pathTemplate });
});

it('get() takes an absolute address below the base URL', async () => {
  await medplum.get(`${app.wire.baseUrl}fhir/R4/Patient/1`);
  expect(app.wire.requests[0]?.path).toBe('/fhir/R4/Patient/1');
});

it.each([
  '',
  ' ',
  'https://evil.example/fhir/R4/Patient/1',
  'HTTPS://evil.example/',
  '//evil.example/',
  String.raw`\\evil.example/`,
  String.raw`/\evil.example/`,
  '\t//evil.example/',
  'http://127.0.0.1:1/',
  'javascript:alert(1)',
  'fhir/R4/Patient/a%2f..%2f..%2foauth2',
  'fhir/R4/Patient/%zz',
  'oauth2/token',
  '/oauth2/token',
  'fhir/../oauth2/token',
  'fhir/%2e%2e/oauth2/token',
  'OAUTH2/token',
  'o%61uth2/token',
  'auth/me',
  './auth/me',
  'x//y',
  `fhir/R4/${'a'.repeat(16_001)}`,
  undefined,
  5,
])('every method refuses %j, and sends nothing', async (path) => {
  const where = path as string;
  const calls = [
    medplum.get(where),
    medplum.post(where, {}),
    medplum.put(where, {}),
    medplum.patch(where, []),
    medplum.delete(where),
  ];
  for (const result of await Promise.allSettled(calls)) {
    expect(result).toMatchObject({ status: 'rejected', reason: expect.any(MedplumBadRequestError) as unknown });
  }
  expect(app.wire.requests).toEqual([]);
});

it('raw calls follow the rules for asynchronous bundles and for accounts', async () => {
  const bundle = { resourceType: 'Bundle', type: 'batch', entry: [{ request: { method: 'GET', url: 'Patient/1' } }] };
  for (const path of ['fhir/R4', 'fhir/R4/', '/fhir/R4?x=1']) {
    await expect(medplum.post(path, bundle, { headers: { prefer: 'respond-async' } })).rejects.toThrow(
      /rights of the client/,
    );
  }
  expect(app.wire.requests).toEqual([]);
  await medplum.put('fhir/R4/Patient/1', { resourceType: 'Patient', id: '1', meta: {} });
  await medplum.put('fhir/R4/Patient/1', { resourceType: 'Patient', id: '1' });
  expect(app.wire.requests.map(({ headers }) => headers['x-medplum'])).toEqual([undefined, 'extended']);
});
