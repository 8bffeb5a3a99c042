import { MedplumClient } from '@medplum/core';
import { MedplumBadRequestError, type MedplumFetchInit, OnBehalfOfRequiredError } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { outcome } from '../support/wire-server';

let app: MedplumApp;

beforeEach(async () => {
  app = await startMedplumApp(
    {},
    {
      handler: ({ path, onBehalfOf }) => ({
        body: { resourceType: 'Patient', id: path.split('/').pop(), language: onBehalfOf },
      }),
    },
  );
});
afterEach(() => app.close());

const client = (more: object = {}) => new MedplumClient({ ...app.medplum.coreClientOptions(), ...more });

describe('MedplumClient of @medplum/core with the fetch of the service', () => {
  it('sends a request for each user, even if 50 users request the same thing at once', async () => {
    const shared = client();
    const users = Array.from({ length: 50 }, (_, i) => `m-${i}`);
    const seen = await Promise.all(
      users.map((user) => app.medplum.onBehalfOf(user, () => shared.readResource('Patient', 'p1'))),
    );
    expect(seen.map(({ language }) => language)).toEqual(users.map((user) => `ProjectMembership/${user}`));
    expect(app.wire.requests).toHaveLength(50);
  });

  it('refuses a call without an identity, even if a user has made the same call before', async () => {
    const shared = client();
    await app.medplum.onBehalfOf('m-1', () => shared.readResource('Patient', 'p1'));
    await expect(shared.readResource('Patient', 'p1')).rejects.toThrow(OnBehalfOfRequiredError);
    expect(app.wire.requests).toHaveLength(1);
  });

  it('makes every request of a helper for the user, and none as the client', async () => {
    app.wire.handler = ({ method, path }) => ({
      status: method === 'POST' ? 201 : 200,
      body: { resourceType: path.includes('Binary') ? 'Binary' : 'DocumentReference', id: '1', url: 'Binary/1' },
    });
    await app.medplum.onBehalfOf('m-1', () =>
      client().createDocumentReference({ data: 'text', contentType: 'text/plain', filename: 'a.txt' }),
    );
    expect(app.wire.requests.length).toBeGreaterThan(1);
    expect(new Set(app.wire.identities)).toEqual(new Set(['ProjectMembership/m-1']));
  });

  it('refuses a batch of reads, because automatic batching mixes the reads of several users', async () => {
    const entry = ['p1', 'p2'].map((id) => ({ request: { method: 'GET', url: `Patient/${id}` } as const }));
    const sending = app.medplum.onBehalfOf('m-1', () =>
      client({ autoBatchTime: 1 }).executeBatch({ resourceType: 'Bundle', type: 'batch', entry }),
    );
    await expect(sending).rejects.toThrow(/mixes the reads of several callers/);
    expect(app.wire.requests).toEqual([]);
  });

  it('cannot log in or request its own profile', async () => {
    const shared = client();
    await app.medplum.onBehalfOf('m-1', async () => {
      await expect(shared.startClientLogin('client-1', 'secret-1')).rejects.toThrow(/tokens and logins/);
      await expect(shared.get('auth/me')).rejects.toThrow(/tokens and logins/);
    });
    expect(app.wire.requests).toEqual([]);
  });

  it('turns errors of the server into its own errors', async () => {
    app.wire.handler = () => ({ status: 404, body: outcome('not-found', 'not-found', 'Not found') });
    const reading = app.medplum.onBehalfOf('m-1', () => client().readResource('Patient', 'p1'));
    await expect(reading).rejects.toMatchObject({ outcome: { id: 'not-found' } });
    expect(app.events).toMatchObject([{ outcome: 'error', status: 404, onBehalfOf: 'ProjectMembership/m-1' }]);
  });
});

const fetch = (path: string | URL, init: MedplumFetchInit = {}) =>
  app.medplum.fetch(path, { onBehalfOf: 'm-1', ...init });

describe('fetch()', () => {
  it('returns a standard response with status, headers and body', async () => {
    app.wire.handler = ({ body }) => ({ status: 201, headers: { etag: 'W/"1"' }, body });
    const response = await fetch(new URL('fhir/R4/Patient', app.wire.baseUrl), { method: 'post', body: '{"a":1}' });
    expect([response.status, response.headers.get('etag'), await response.json()]).toEqual([201, 'W/"1"', { a: 1 }]);
    app.wire.handler = () => ({ status: 204 });
    expect(await fetch('fhir/R4/Patient/1', { method: 'DELETE' })).toMatchObject({ status: 204, body: null });
  });

  it('sends bytes, forms, blobs and streams', async () => {
    const bodies = [
      new TextEncoder().encode('a=b'),
      new TextEncoder().encode('a=b').buffer,
      new URLSearchParams({ a: 'b' }),
      new Blob(['a=b']),
      new Blob(['a=b']).stream(),
    ];
    for (const body of bodies) {
      await (await fetch('fhir/R4/Patient/_search', { method: 'POST', body })).text();
    }
    expect(app.wire.requests.map(({ body }) => body)).toEqual(bodies.map(() => 'a=b'));
  });

  it("replaces the caller's X-Medplum", async () => {
    await fetch('fhir/R4/Patient/1', { headers: { 'X-MEDPLUM': 'extended, other' } });
    expect(app.wire.requests[0]?.headers['x-medplum']).toBe('extended');
  });

  it.each<readonly [string, string, MedplumFetchInit]>([
    ['credentials', 'fhir/R4/Patient/1', { headers: { authorization: 'Bearer x' } }],
    ['an identity', 'fhir/R4/Patient/1', { headers: new Headers({ 'x-medplum-on-behalf-of': 'ProjectMembership/x' }) }],
    ['another server', 'https://evil.example/fhir/R4/Patient/1', {}],
    ['a token request', 'oauth2/token', { method: 'POST', body: 'grant_type=client_credentials' }],
    ['the profile of the client', 'auth/me', {}],
    ['an unknown method', 'fhir/R4/Patient/1', { method: 'CONNECT' }],
    ['a body of an unknown type', 'fhir/R4/Patient', { method: 'POST', body: {} }],
    [
      'an automatic batch',
      'fhir/R4',
      {
        method: 'POST',
        body: '{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/1"}}]}',
      },
    ],
    [
      'an asynchronous bundle',
      'fhir/R4',
      {
        method: 'POST',
        headers: [['prefer', 'respond-async']],
        body: '{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"POST","url":"Patient"}}]}',
      },
    ],
  ])('refuses %s, and sends nothing', async (_what, path, init) => {
    await expect(fetch(path, init)).rejects.toThrow(MedplumBadRequestError);
    expect(app.wire.requests).toEqual([]);
  });
});
