import { MedplumEmulator, type SeededMember } from 'nestjs-medplum/testing';
import { call, type CallResponse } from './call';

/** Behaviour that the contract describes, but no recorded case shows. */
describe('server semantics', () => {
  let emulator: MedplumEmulator;
  let clerk: SeededMember;

  beforeAll(async () => {
    emulator = await MedplumEmulator.start({ features: ['transaction-bundles'] });
    const organization = await emulator.createResource({ resourceType: 'Organization', name: 'One' });
    const compartment = { reference: `Organization/${organization.id}` };
    clerk = await emulator.createMember({
      profile: { resourceType: 'Practitioner', name: [{ given: ['Cleo'], family: 'Clerk' }] },
      policy: {
        compartment,
        resource: [
          { resourceType: 'Patient', criteria: `Patient?_compartment=${compartment.reference}` },
          { resourceType: 'Practitioner', readonly: true },
          { resourceType: 'AsyncJob' },
          { resourceType: 'Binary' },
        ],
      },
    });
  });

  afterAll(() => emulator.close());

  const createPatient = async (body: object = {}, onBehalfOf?: string): Promise<CallResponse> =>
    call(emulator, 'POST', 'fhir/R4/Patient', {
      body: { resourceType: 'Patient', ...body },
      ...(onBehalfOf && { onBehalfOf }),
    });

  it('pages through every match exactly once, by offset and by cursor', async () => {
    const family = 'Paged';
    for (let index = 0; index < 45; index++) {
      await emulator.createResource({ resourceType: 'Patient', name: [{ family }] });
    }
    for (const query of ['_count=10', '_count=20&_sort=_lastUpdated']) {
      const ids: string[] = [];
      let next: string | undefined = `${emulator.baseUrl}fhir/R4/Patient?name=${family}&${query}`;
      while (next) {
        const { json } = await call(emulator, 'GET', next.slice(emulator.baseUrl.length));
        ids.push(...(json.entry as { resource: { id: string } }[]).map(({ resource }) => resource.id));
        next = (json.link as { relation: string; url: string }[]).find(({ relation }) => relation === 'next')?.url;
      }
      expect([ids.length, new Set(ids).size]).toEqual([45, 45]);
    }
  });

  it('applies write constraints to the resource before and after the write', async () => {
    const member = await emulator.createMember({
      profile: { resourceType: 'Practitioner', name: [{ family: 'W' }] },
      policy: [
        {
          resourceType: 'Patient',
          writeConstraint: [{ language: 'text/fhirpath', expression: '%after.active = true' }],
        },
        { resourceType: 'Practitioner' },
      ],
    });
    expect((await createPatient({ active: true }, member.membership)).status).toBe(201);
    expect((await createPatient({ active: false }, member.membership)).status).toBe(403);
  });

  it('rolls back a failed transaction, but nothing that others write meanwhile', async () => {
    const resource = { resourceType: 'Observation', status: 'final', code: { text: 'tx' } };
    const entry = [
      { request: { method: 'POST', url: 'Observation' }, resource },
      { request: { method: 'GET', url: 'Patient/x' } },
    ];
    const body = { resourceType: 'Bundle', type: 'transaction', entry };
    const failing = Array.from({ length: 20 }, () => call(emulator, 'POST', 'fhir/R4', { body }));
    const others = Array.from({ length: 20 }, () => createPatient({ name: [{ family: 'Meanwhile' }] }));
    expect(new Set((await Promise.all(failing)).map(({ status }) => status))).toEqual(new Set([404]));
    await Promise.all(others);
    expect((await call(emulator, 'GET', 'fhir/R4/Observation?code:text=tx&_summary=count')).json.total).toBe(0);
    expect((await call(emulator, 'GET', 'fhir/R4/Patient?name=Meanwhile&_summary=count')).json.total).toBe(20);
  });

  it('creates a single resource from many concurrent conditional creates', async () => {
    const identifier = [{ system: 'urn:test', value: 'once' }];
    const responses = await Promise.all(
      Array.from({ length: 20 }, () =>
        call(emulator, 'POST', 'fhir/R4/Patient', {
          headers: { 'if-none-exist': 'identifier=urn:test|once' },
          body: { resourceType: 'Patient', identifier },
        }),
      ),
    );
    expect(responses.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      ...Array.from({ length: 19 }, () => 200),
      201,
    ]);
  });

  it('accepts only one of many updates with the same If-Match', async () => {
    const { id, headers } = await createPatient();
    const responses = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        call(emulator, 'PUT', `fhir/R4/Patient/${id}`, {
          headers: { 'if-match': headers.get('etag') ?? '' },
          body: { resourceType: 'Patient', id, name: [{ family: `F${index}` }] },
        }),
      ),
    );
    expect(responses.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      200,
      ...Array.from({ length: 9 }, () => 412),
    ]);
  });

  it('clears accounts only if an administrator asks for it in extended mode', async () => {
    const { id } = await createPatient({}, clerk.membership);
    const put = (options: object): Promise<CallResponse> =>
      call(emulator, 'PUT', `fhir/R4/Patient/${id}`, {
        body: { resourceType: 'Patient', id, meta: {}, ...options },
      });
    expect((await put({ active: true })).json.meta).toMatchObject({ accounts: [expect.anything()] });
    const wiped = await call(emulator, 'PUT', `fhir/R4/Patient/${id}`, {
      extended: true,
      body: { resourceType: 'Patient', id, meta: {} },
    });
    expect(wiped.json.meta).not.toHaveProperty('accounts');
  });

  it('runs asynchronous bundles as the client, which is why the library refuses them', async () => {
    const hidden = await emulator.createResource({ resourceType: 'Patient' });
    const body = {
      resourceType: 'Bundle',
      type: 'batch',
      entry: [
        { request: { method: 'GET', url: `Patient/${hidden.id}` } },
        { request: { method: 'POST', url: 'Patient' }, resource: { resourceType: 'Patient' } },
      ],
    };
    const onBehalfOf = clerk.membership;
    const accepted = await call(emulator, 'POST', 'fhir/R4', {
      onBehalfOf,
      headers: { prefer: 'respond-async' },
      body,
    });
    expect(accepted.status).toBe(202);
    const statusUrl = accepted.headers.get('content-location')?.slice(emulator.baseUrl.length) ?? '';
    let job = await call(emulator, 'GET', statusUrl, { onBehalfOf });
    while (job.status === 202) {
      job = await call(emulator, 'GET', statusUrl, { onBehalfOf });
    }
    expect(job.json).toMatchObject({
      resourceType: 'AsyncJob',
      status: 'completed',
      meta: expect.not.objectContaining({ onBehalfOf: expect.anything() }),
    });
    const output = job.json.output as { parameter: { valueReference: { reference: string } }[] };
    const result = await call(emulator, 'GET', `fhir/R4/${output.parameter[0]?.valueReference.reference}`);
    expect(result.json).toMatchObject({ entry: [{ response: { status: '200' } }, { response: { status: '201' } }] });
    const [, written] = result.json.entry as { resource: { meta: object } }[];
    expect(written?.resource.meta).not.toHaveProperty('onBehalfOf');
  });

  it('signs attachment URLs, which then need no credentials, and strips the signature from what is written', async () => {
    const binary = await emulator.createBinary('hello', 'text/plain');
    const body = {
      resourceType: 'DocumentReference',
      status: 'current',
      content: [{ attachment: { contentType: 'text/plain', url: `Binary/${binary.id}` } }],
    };
    const created = await call(emulator, 'POST', 'fhir/R4/DocumentReference', { body });
    const [{ attachment }] = created.json.content as [{ attachment: { url: string } }];
    expect(attachment.url).toMatch(new RegExp(`^${emulator.baseUrl}storage/${binary.id}/.+Expires=\\d+&Signature=`));
    const path = attachment.url.slice(emulator.baseUrl.length);
    expect((await call(emulator, 'GET', path, { credentials: null })).text).toBe('hello');
    expect((await call(emulator, 'GET', `${path}x`, { credentials: null })).status).toBe(401);
    const { meta: _meta, ...again } = created.json;
    const updated = await call(emulator, 'PUT', `fhir/R4/DocumentReference/${created.id}`, { body: again });
    expect(updated.headers.get('etag')).toBe(created.headers.get('etag'));
  });

  it('limits the points of a client, which all its identities share', async () => {
    emulator.setRateLimits({ fhirPoints: 150 });
    try {
      const first = await createPatient({}, clerk.membership);
      expect(first.headers.get('ratelimit')).toMatch(/^"requests";r=\d+;t=\d+, "fhirInteractions";r=50;t=\d+$/);
      const second = await createPatient();
      expect(second.status).toBe(429);
      expect(second.headers.get('ratelimit')).toContain('"fhirInteractions";r=0;');
      const [issue] = second.json.issue as [{ diagnostics: string }];
      expect(JSON.parse(issue.diagnostics)).toMatchObject({ _consumedPoints: 200, limit: 150 });
    } finally {
      emulator.setRateLimits({});
    }
  });

  it('revokes tokens as a restart of the server does, while Basic keeps working', async () => {
    const { clientId, clientSecret } = emulator.options();
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
    });
    const issued = await call(emulator, 'POST', 'oauth2/token', {
      credentials: null,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
    });
    const authorization = `Bearer ${String(issued.json.access_token)}`;
    const asBearer = (): Promise<CallResponse> =>
      call(emulator, 'GET', 'auth/me', { credentials: null, headers: { authorization } });
    expect((await asBearer()).status).toBe(200);
    emulator.revokeTokens();
    expect((await asBearer()).status).toBe(401);
    expect((await call(emulator, 'GET', 'auth/me')).status).toBe(200);
  });
});

describe("serverVersion '5.2'", () => {
  let emulator: MedplumEmulator;

  beforeAll(async () => {
    emulator = await MedplumEmulator.start({ serverVersion: '5.2' });
  });

  afterAll(() => emulator.close());

  it('refuses an identity with 400 and the cause in diagnostics', async () => {
    const response = await call(emulator, 'GET', 'fhir/R4/Patient', { onBehalfOf: 'Practitioner/nobody' });
    expect(response.status).toBe(400);
    expect(response.json.issue).toEqual([
      expect.objectContaining({
        code: 'invalid',
        details: { text: 'Authentication error' },
        diagnostics: expect.stringMatching(/Forbidden$/),
      }),
    ]);
  });

  it('honours If-Match on PATCH, and sends request ids and challenges', async () => {
    const { id } = await emulator.createResource({ resourceType: 'Patient' });
    const patched = await call(emulator, 'PATCH', `fhir/R4/Patient/${id}`, {
      headers: { 'if-match': 'W/"stale"', 'content-type': 'application/json-patch+json' },
      body: [{ op: 'add', path: '/active', value: true }],
    });
    expect(patched.status).toBe(412);
    const refused = await call(emulator, 'GET', 'fhir/R4/Patient', { credentials: null });
    expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer /);
    expect(refused.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/);
  });

  it('serves the URL of a project, and refuses a malformed log tag', async () => {
    const { vars } = emulator.seeded();
    expect((await call(emulator, 'GET', `projects/${vars.project?.split('/')[1]}/fhir/R4/Patient`)).status).toBe(200);
    const headers = { 'x-medplum-log-tag': 'x'.repeat(129) };
    expect((await call(emulator, 'GET', 'fhir/R4/Patient', { headers })).status).toBe(400);
  });
});
