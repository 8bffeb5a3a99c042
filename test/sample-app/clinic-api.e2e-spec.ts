import type { Observation, Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { WithId } from 'nestjs-medplum';
import { RecentCalls } from '../../sample-app/audit/recent-calls.service';
import { ClinicBackend } from '../../sample-app/backend/clinic.backend';
import type { EmbeddedBackend } from '../../sample-app/backend/embedded.backend';
import type { ClinicBrowser } from '../../sample-app/tour/clinic-browser';
import { OpenClinic } from './support/open-clinic';

const NEW_PATIENT = { resourceType: 'Patient', name: [{ given: ['Homer'], family: 'Simpson' }] };

function heartRate(patient: string): Record<string, unknown> {
  return {
    resourceType: 'Observation',
    status: 'final',
    code: { text: 'Heart rate' },
    subject: { reference: patient },
    valueQuantity: { value: 60, unit: '/min' },
  };
}

async function patientsOf(browser: ClinicBrowser, query = ''): Promise<WithId<Patient>[]> {
  return (await browser.get<WithId<Patient>[]>(`/patients${query}`)).body;
}

async function families(browser: ClinicBrowser, query = ''): Promise<string[]> {
  return (await patientsOf(browser, query)).map(({ name }) => name?.[0]?.family ?? '').toSorted();
}

async function observationsOf(browser: ClinicBrowser, query = ''): Promise<WithId<Observation>[]> {
  return (await browser.get<WithId<Observation>[]>(`/observations${query}`)).body;
}

async function heartRates(browser: ClinicBrowser): Promise<number[]> {
  const values = (await observationsOf(browser)).map(({ valueQuantity }) => valueQuantity?.value ?? 0);
  return values.toSorted((a, b) => a - b);
}

describe('the API of the clinic', () => {
  let clinic: OpenClinic;
  let backend: EmbeddedBackend;
  let nora: ClinicBrowser;
  let hugo: ClinicBrowser;
  let paula: ClinicBrowser;

  beforeAll(async () => {
    clinic = await OpenClinic.open();
    backend = clinic.app.get(ClinicBackend);
    [nora, hugo, paula] = await Promise.all([clinic.visitor('nora'), clinic.visitor('hugo'), clinic.visitor('paula')]);
  });
  afterAll(() => clinic?.close());

  it('shows all users their own patients and observations', async () => {
    expect(await families(nora)).toEqual(['Berger', 'Weber']);
    expect(await families(hugo)).toEqual(['Nilsson', 'Yilmaz']);
    expect(await families(paula)).toEqual(['Weber']);
    expect(await heartRates(nora)).toEqual([62, 71]);
    expect(await heartRates(hugo)).toEqual([66, 80]);
    expect(await heartRates(paula)).toEqual([62]);
  });

  it('tells everybody whether Medplum works, and nothing else', async () => {
    const { status, body } = await clinic.browser().get('/health');
    expect([status, body]).toEqual([
      200,
      { status: 'ok', info: { medplum: { status: 'up' } }, error: {}, details: { medplum: { status: 'up' } } },
    ]);
  });

  it('keeps identities apart when all users send requests at once', async () => {
    const visitors = [nora, hugo, paula];
    const expected = await Promise.all(visitors.map((browser) => families(browser)));
    const lists = await Promise.all(
      Array.from({ length: 60 }, async (_none, index) => families(visitors[index % 3] ?? nora)),
    );
    lists.forEach((list, index) => expect(list).toEqual(expected[index % 3]));
  });

  it('finds nothing of the other organisation, whatever the user tries', async () => {
    const [patient] = await patientsOf(hugo);
    const [observation] = await observationsOf(hugo);
    const tries = [
      nora.get(`/patients/${patient?.id}`),
      nora.send('PUT', `/patients/${patient?.id}`, { ...patient, active: false }),
      nora.send('DELETE', `/patients/${patient?.id}`),
      nora.get(`/observations/${observation?.id}`),
      nora.send('DELETE', `/observations/${observation?.id}`),
    ];
    expect((await Promise.all(tries)).map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
    expect(await observationsOf(nora, `?patient=${patient?.id}`)).toEqual([]);
    expect((await nora.send('POST', '/observations', heartRate(`Patient/${patient?.id}`))).status).toBe(422);
  });

  it('creates, changes and deletes on behalf of the user', async () => {
    const { body: created, status } = await nora.send<WithId<Patient>>('POST', '/patients', NEW_PATIENT);
    expect(status).toBe(201);
    expect(created.meta?.onBehalfOf?.reference).toBe(clinic.demoLogin('nora').profile);
    expect(created.meta?.author).toMatchObject({ display: 'Clinic app' });

    const changed = await nora.send<WithId<Patient>>('PUT', `/patients/${created.id}`, { ...created, gender: 'male' });
    expect([changed.status, changed.body.gender]).toEqual([200, 'male']);
    const overtaken = await nora.send('PUT', `/patients/${created.id}`, { ...created, gender: 'other' });
    expect(overtaken.status).toBe(412);

    const observed = await nora.send<WithId<Observation>>('POST', '/observations', heartRate(`Patient/${created.id}`));
    expect(observed.status).toBe(201);
    const corrected = { ...observed.body, status: 'corrected' };
    expect((await nora.send('PUT', `/observations/${observed.body.id}`, corrected)).status).toBe(200);
    expect((await nora.send('PUT', `/observations/${observed.body.id}`, corrected)).status).toBe(412);
    expect(await observationsOf(nora, `?patient=${created.id}`)).toHaveLength(1);

    expect((await nora.send('DELETE', `/observations/${observed.body.id}`)).status).toBe(204);
    expect((await nora.send('DELETE', `/patients/${created.id}`)).status).toBe(204);
    expect((await nora.get(`/patients/${created.id}`)).status).toBe(404);
  });

  it('takes bodies of type application/fhir+json', async () => {
    const headers = { 'content-type': 'application/fhir+json' };
    const created = await hugo.send<WithId<Patient>>('POST', '/patients', NEW_PATIENT, headers);
    expect(created.status).toBe(201);
    expect((await hugo.send('DELETE', `/patients/${created.body.id}`)).status).toBe(204);
  });

  it('lets a patient read her chart, but not write into it', async () => {
    const [own] = await patientsOf(paula);
    expect((await paula.send('POST', '/patients', NEW_PATIENT)).status).toBe(403);
    expect((await paula.send('PUT', `/patients/${own?.id}`, { ...own, active: false })).status).toBe(403);
    expect((await paula.send('POST', '/observations', heartRate(`Patient/${own?.id}`))).status).toBe(403);
    expect((await paula.send('DELETE', `/patients/${own?.id}`)).status).toBe(403);
  });

  it('does not let a browser choose its identity', async () => {
    const before = backend.requests.length;
    const { membership } = clinic.demoLogin('hugo');
    const headers = { 'X-Medplum-On-Behalf-Of': membership, 'X-User': 'hugo', Authorization: 'Basic aHVnbzpodWdv' };
    const { body } = await nora.get<WithId<Patient>[]>('/patients', headers);
    expect(body.map(({ id }) => id)).toEqual((await patientsOf(nora)).map(({ id }) => id));
    const [sent] = backend.requests.slice(before);
    expect(sent?.onBehalfOf).toBe(clinic.demoLogin('nora').membership);
  });

  it('refuses a handler without an identity, before anything is sent', async () => {
    const before = backend.requests.length;
    expect((await nora.get('/undecorated')).status).toBe(500);
    expect(backend.requests).toHaveLength(before);
    const refused = clinic.app.get(RecentCalls).calls.at(-1);
    expect(refused).toMatchObject({ action: 'search', outcome: 'refused', identity: 'nobody', attempts: 0 });
  });

  it('counts the records of all organisations as the client itself', async () => {
    const before = backend.requests.length;
    const { body } = await paula.get('/status');
    expect(body).toEqual({ organizations: 2, practitioners: 2, patients: 4 });
    expect(backend.requests.slice(before).map(({ onBehalfOf }) => onBehalfOf)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('searches by name, in pages', async () => {
    expect(await families(nora, '?name=Weber')).toEqual(['Weber']);
    // In a FHIR search, a comma means OR. Here it is part of the name.
    expect(await families(nora, '?name=Weber,Berger')).toEqual([]);
    const pages = [await families(nora, '?count=1'), await families(nora, '?count=1&offset=1')];
    expect(pages.flat().toSorted()).toEqual(['Berger', 'Weber']);
  });

  it.each([
    '/patients?family=Weber',
    '/patients?name=a&name=b',
    '/patients?name=',
    '/patients?count=0',
    '/patients?count=101',
    '/patients?offset=-1',
    '/observations?patient=a/b',
    '/observations?patient=1&patient=2',
    '/patients/a_b',
    '/patients/..%2fx',
    '/observations/a%20b',
  ])('refuses GET %s with 400, without calling Medplum', async (path) => {
    const before = backend.requests.length;
    expect((await nora.get(path)).status).toBe(400);
    expect(backend.requests).toHaveLength(before);
  });

  it.each([
    ['/patients', undefined],
    ['/patients', []],
    ['/patients', { resourceType: 'Practitioner', name: [{ family: 'A' }] }],
    ['/patients', { resourceType: 'Patient' }],
    ['/patients', { resourceType: 'Patient', name: [{ family: ' ' }] }],
    ['/patients', { ...NEW_PATIENT, gender: 'm' }],
    ['/patients', { ...NEW_PATIENT, birthDate: '2023-02-29' }],
    ['/patients', { ...NEW_PATIENT, birthDate: '12.5.1956' }],
    ['/observations', { ...heartRate('Patient/1'), status: 'done' }],
    ['/observations', { ...heartRate('Patient/1'), code: {} }],
    ['/observations', heartRate('Practitioner/1')],
    ['/observations', heartRate('Patient/1/../2')],
  ])('refuses POST %s %j with 400, without calling Medplum', async (path, body) => {
    const before = backend.requests.length;
    expect((await nora.send('POST', path, body)).status).toBe(400);
    expect(backend.requests).toHaveLength(before);
  });

  it('responds with 400 if Medplum finds a resource invalid', async () => {
    expect((await nora.send('POST', '/patients', { ...NEW_PATIENT, favouriteColour: 'red' })).status).toBe(400);
  });

  it('refuses an update that does not say which version it is based on', async () => {
    const [patient] = await patientsOf(nora);
    const path = `/patients/${patient?.id}`;
    expect((await nora.send('PUT', path, { ...patient, meta: {} })).status).toBe(400);
    expect((await nora.send('PUT', path, { ...patient, meta: undefined })).status).toBe(400);
    expect((await nora.send('PUT', path, { ...patient, id: 'another' })).status).toBe(400);
    expect((await nora.send('PUT', path, { ...patient, id: undefined })).status).toBe(400);
  });

  it('forbids everybody to cache a chart', async () => {
    const { headers } = await nora.get('/patients');
    expect(headers.get('cache-control')).toBe('private, no-store');
    expect(headers.get('x-powered-by')).toBeNull();
  });
});
