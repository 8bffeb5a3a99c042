import type { Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { WithId } from 'nestjs-medplum';
import { ClinicBackend } from '../../sample-app/backend/clinic.backend';
import type { EmbeddedBackend } from '../../sample-app/backend/embedded.backend';
import type { ClinicBrowser } from '../../sample-app/tour/clinic-browser';
import { OpenClinic } from './support/open-clinic';

/** Every route that changes something. A test below compares the list with the routes of the app. */
const CHANGES = [
  'POST /auth/login',
  'POST /auth/logout',
  'POST /patients',
  'PUT /patients/:id',
  'DELETE /patients/:id',
  'POST /observations',
  'PUT /observations/:id',
  'DELETE /observations/:id',
] as const;

const FORM = 'application/x-www-form-urlencoded';

type Headers = Readonly<Record<string, string>>;

interface Layer {
  readonly route?: { readonly path: string; readonly methods: Readonly<Record<string, boolean>> };
}

describe('requests from other sites', () => {
  let clinic: OpenClinic;
  let backend: EmbeddedBackend;
  let nora: ClinicBrowser;
  let patient: WithId<Patient>;

  beforeAll(async () => {
    clinic = await OpenClinic.open();
    backend = clinic.app.get(ClinicBackend);
    nora = await clinic.visitor('nora');
    const { body } = await nora.get<WithId<Patient>[]>('/patients');
    const [first] = body;
    if (!first) {
      throw new Error('Nora has no patients.');
    }
    patient = first;
  });
  afterAll(() => clinic?.close());

  /** Sends any body, with the cookies of nora: the worst case, in which a browser would ignore `SameSite`. */
  function send(route: string, headers: Headers, body?: string | ReadableStream): Promise<Response> {
    const [method = '', path = ''] = route.replace(':id', patient.id).split(' ');
    const cookie = [...nora.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    return fetch(new URL(path, clinic.url), {
      method,
      headers: { cookie, ...headers },
      // As bytes or chunks, so that fetch() adds no content type of its own.
      ...(body === undefined ? {} : { body: typeof body === 'string' ? new TextEncoder().encode(body) : body }),
      duplex: 'half',
    });
  }

  /** What the route would accept from the clinic's own pages. */
  function goodBody(route: string): string | undefined {
    const { name, password } = clinic.demoLogin('nora');
    if (route === 'POST /auth/login') {
      return JSON.stringify({ name, password });
    }
    if (route.endsWith('/patients') || route.startsWith('PUT /patients')) {
      return JSON.stringify(patient);
    }
    const observation = { resourceType: 'Observation', status: 'final', code: { text: 'x' } };
    return route.includes('observations') && !route.startsWith('DELETE')
      ? JSON.stringify({ ...observation, subject: { reference: `Patient/${patient.id}` } })
      : undefined;
  }

  async function expectRefusal(response: Response, status: number, sentBefore: number): Promise<void> {
    expect(response.status).toBe(status);
    expect(response.headers.getSetCookie()).toEqual([]);
    expect(backend.requests).toHaveLength(sentBefore);
    await response.text();
  }

  it('are tested on every route that changes something', () => {
    const { router } = clinic.app.getHttpAdapter().getInstance() as { router: { stack: readonly Layer[] } };
    const routes = router.stack.flatMap(({ route }) =>
      route ? Object.keys(route.methods).map((method) => `${method.toUpperCase()} ${route.path}`) : [],
    );
    expect(routes).toContain('GET /patients');
    expect(routes.filter((route) => !route.startsWith('GET ')).toSorted()).toEqual(CHANGES.toSorted());
  });

  it('cannot log in with a form, as any page could send it', async () => {
    const { name, password } = clinic.demoLogin('nora');
    const form = new URLSearchParams({ name, password }).toString();
    await expectRefusal(await send('POST /auth/login', { 'content-type': FORM }, form), 415, backend.requests.length);
  });

  describe.each(CHANGES)('%s', (route) => {
    it.each<Headers>([
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: 'http://127.0.0.1:1' },
      { origin: 'not a URL' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'new-value' },
      { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' },
      { origin: 'https://evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' },
    ])('is refused with %j', async (headers) => {
      const before = backend.requests.length;
      const response = await send(route, { 'content-type': 'application/json', ...headers }, goodBody(route));
      await expectRefusal(response, 403, before);
    });

    it.each([
      FORM,
      'text/plain',
      'text/plain; application/json',
      'multipart/form-data; boundary=x',
      'application/jsonx',
      '',
      undefined,
    ])('is refused with a body of type %j', async (type) => {
      const before = backend.requests.length;
      const headers: Headers = type === undefined ? {} : { 'content-type': type };
      await expectRefusal(await send(route, headers, goodBody(route) ?? '{}'), 415, before);
    });

    it('is refused with a body that states neither type nor length', async () => {
      const before = backend.requests.length;
      const body = new Blob([goodBody(route) ?? '{}']).stream();
      await expectRefusal(await send(route, {}, body), 415, before);
    });

    it('is refused with an empty form', async () => {
      await expectRefusal(await send(route, { 'content-type': FORM }, ''), 415, backend.requests.length);
    });
  });

  it('cannot log in with FHIR JSON either: a login is no resource', async () => {
    const type = { 'content-type': 'application/fhir+json' };
    const response = await send('POST /auth/login', type, goodBody('POST /auth/login'));
    await expectRefusal(response, 415, backend.requests.length);
  });

  it.each<Headers>([{ 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }, {}])(
    'do not include those from the pages of the clinic itself: %j',
    async (site) => {
      const own = { ...site, origin: clinic.url, 'content-type': 'Application/JSON; charset=utf-8' };
      expect((await send('POST /auth/login', own, goodBody('POST /auth/login'))).status).toBe(200);
      expect((await send('DELETE /observations/none', own)).status).toBe(404);
      expect((await send('POST /auth/logout', { ...site, origin: clinic.url })).status).toBe(204);
    },
  );

  it('may read what is public: a link on another site leads to the clinic', async () => {
    const headers = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect((await send('GET /health', headers)).status).toBe(200);
  });
});
