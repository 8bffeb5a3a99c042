import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { Readable } from 'node:stream';
import type { Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import * as fc from 'fast-check';
import {
  bundleEntry,
  isMedplumError,
  MedplumAbortError,
  type MedplumBeforeRequest,
  MedplumBeforeRequestError,
  type MedplumModuleOptions,
  type MedplumPreparedRequest,
  MedplumTimeoutError,
} from 'nestjs-medplum';
import { failureOf } from '../support/failure-of';
import { collect } from '../support/collect';
import { MemorySink } from '../support/memory-sink';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import type { WireHandler } from '../support/wire-server';

const onBehalfOf = 'ProjectMembership/m-1';
const BATCH: Bundle = { resourceType: 'Bundle', type: 'batch', entry: [bundleEntry.read('Patient', '1')] };
const PATIENT = { resourceType: 'Patient', id: '1' } as const;

const set = (change: (prepared: MedplumPreparedRequest) => void): MedplumBeforeRequest => change;
const never: MedplumBeforeRequest = () => new Promise<void>(() => undefined);
const failing: WireHandler = () => ({ status: 503 });
let app: MedplumApp;

afterEach(() => app.close());

const start = (
  beforeRequest: MedplumBeforeRequest,
  options: Partial<MedplumModuleOptions> = {},
  handler?: WireHandler,
) => startMedplumApp({ beforeRequest, ...options }, handler ? { handler } : {}).then((started) => (app = started));

describe('beforeRequest', () => {
  it('sees the whole request, except the credentials and the identity', async () => {
    const seen: MedplumPreparedRequest[] = [];
    await start((prepared) => void seen.push({ ...prepared, headers: { ...prepared.headers } }));
    await app.medplum.search('Patient', { name: 'Homer' }, { onBehalfOf, headers: { 'X-Reason': 'rounds' } });
    await app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf });
    expect(seen).toEqual([
      {
        client: 'default',
        method: 'GET',
        pathTemplate: '/fhir/R4/Patient',
        path: '/fhir/R4/Patient?name=Homer',
        headers: { accept: 'application/fhir+json', 'x-reason': 'rounds' },
        body: undefined,
      },
      {
        client: 'default',
        method: 'POST',
        pathTemplate: '/fhir/R4/Patient',
        path: '/fhir/R4/Patient',
        headers: { accept: 'application/fhir+json', 'content-type': 'application/fhir+json' },
        body: '{"resourceType":"Patient"}',
      },
    ]);
    expect(JSON.stringify(seen)).not.toMatch(/m-1|secret|authorization/i);
    expect(app.wire.identities).toEqual([onBehalfOf, onBehalfOf]);
  });

  it('may change body, headers and path, and the event records what was sent', async () => {
    await start(async (prepared) => {
      await Promise.resolve();
      prepared.headers['x-medplum-log-tag'] = 'clinic';
      prepared.path = prepared.path.replace('/Patient', '/Person');
      prepared.body = prepared.body === '{"resourceType":"Patient"}' ? '{"resourceType":"Person"}' : undefined;
    });
    await app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf });
    expect(app.wire.requests).toMatchObject([
      {
        path: '/fhir/R4/Person',
        body: '{"resourceType":"Person"}',
        onBehalfOf,
        headers: { 'x-medplum-log-tag': 'clinic' },
      },
    ]);
    expect(app.wire.requests[0]?.headers.authorization).toMatch(/^Basic /);
    expect(app.events[0]).toMatchObject({ action: 'raw', path: '/fhir/R4/Person', pathTemplate: '/fhir/R4/Person' });
    expect(app.events[0]?.resourceType).toBe('Person');
  });

  it.each<readonly [string, (text: string) => MedplumPreparedRequest['body']]>([
    ['text', (text) => text],
    ['a Buffer', (text) => Buffer.from(text)],
    ['bytes', (text) => new TextEncoder().encode(text)],
  ])('may rewrite a bundle as %s, entry by entry, and the event records the new entries', async (_form, encode) => {
    const entry = [{ request: { method: 'DELETE', url: 'Patient/2' } }];
    const text = JSON.stringify({ resourceType: 'Bundle', type: 'batch', entry });
    await start(set((prepared) => (prepared.body = encode(text))));
    await app.medplum.executeBatch(BATCH, { onBehalfOf });
    expect(app.wire.requests.map(({ body }) => body)).toEqual([text]);
    expect(app.events[0]?.entries).toMatchObject([{ method: 'DELETE' }]);
  });

  it('may return the request that it was given', async () => {
    await start((prepared) => {
      prepared.headers['x-a'] = 'b';
      return prepared as never;
    });
    await app.medplum.readResource('Patient', '1', { onBehalfOf });
    expect(app.wire.requests[0]?.headers['x-a']).toBe('b');
  });

  it('may rewrite the body of a write, which the event does not take for a query', async () => {
    await start(set((prepared) => (prepared.body = '{"resourceType":"Patient","active":true}')));
    await app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf });
    expect(app.wire.requests).toMatchObject([{ body: '{"resourceType":"Patient","active":true}' }]);
    expect(JSON.stringify(app.events[0]?.toPhiAudit({ includeQuery: true }))).not.toContain('active');
  });

  it('may take a body away', async () => {
    await start(set((prepared) => (prepared.body = undefined)));
    await app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf });
    expect(app.wire.requests).toMatchObject([{ method: 'POST', path: '/fhir/R4/Patient', body: '' }]);
  });

  it('may change the parameters of a search by POST, and the event records the new ones', async () => {
    await start(set((prepared) => (prepared.body = 'name=Marge')));
    await app.medplum.searchResources('Patient', { name: 'Homer' }, { onBehalfOf, post: true });
    expect(app.wire.requests.map(({ body }) => body)).toEqual(['name=Marge']);
    expect(app.events[0]?.toPhiAudit({ includeQuery: true })).toMatchObject({ query: { name: ['Marge'] } });
  });

  it('may remove a header, and replace the body by a stream', async () => {
    await start((prepared) => {
      delete prepared.headers['if-match'];
      prepared.body = Readable.from(['{"resourceType":', '"Patient","id":"1"}']);
    });
    const patient = { ...PATIENT, meta: { versionId: '7' } };
    await app.medplum.updateResource(patient, { onBehalfOf });
    expect(app.wire.requests[0]?.body).toBe('{"resourceType":"Patient","id":"1"}');
    expect(app.wire.requests[0]?.headers).not.toHaveProperty('if-match');
  });

  it('may lead a read to an operation that may write, which is then sent once', async () => {
    await start(
      (prepared) => void (prepared.path = '/fhir/R4/Bot/1/$execute'),
      { retry: { minTimeout: 1 } },
      () => ({ status: 502 }),
    );
    const error = await failureOf(app.medplum.readResource('Patient', '1', { onBehalfOf }));
    expect(isMedplumError(error) && error.effect).toBe('unknown');
    expect(app.wire.requests).toHaveLength(1);
  });

  it('may make a write of a read, which is then sent once', async () => {
    await start(
      (prepared) => void (prepared.body = (prepared.body as string).replace('{ me }', 'mutation { me }')),
      { retry: { minTimeout: 1 } },
      () => ({ status: 502 }),
    );
    const effects = [];
    for (const query of ['{ me }', '{ you }']) {
      const error = await failureOf(app.medplum.graphql(query, { onBehalfOf }));
      effects.push(isMedplumError(error) && error.effect);
    }
    expect(effects).toEqual(['unknown', 'none']);
    expect(app.wire.requests.filter(({ body }) => body.includes('mutation'))).toHaveLength(1);
  });

  it('is called once for a request with several attempts, and for each request of a method', async () => {
    const paths: string[] = [];
    let requests = 0;
    await start(
      (prepared) => void paths.push(prepared.path),
      { retry: { minTimeout: 1 } },
      (_request) => {
        const next = { relation: 'next', url: `${app.wire.baseUrl}fhir/R4/Patient?_cursor=2` };
        requests++;
        return requests === 1
          ? { status: 503 }
          : { body: { resourceType: 'Bundle', link: requests === 2 ? [next] : [] } };
      },
    );
    await collect(app.medplum.searchResourcePages('Patient', {}, { onBehalfOf }));
    expect(app.wire.requests).toHaveLength(3);
    expect(paths).toEqual(['/fhir/R4/Patient?_count=1000', '/fhir/R4/Patient?_cursor=2']);
  });

  it('runs in the async context of the caller', async () => {
    const tenant = new AsyncLocalStorage<string>();
    await start(({ headers }) => void (headers['x-tenant'] = String(tenant.getStore())));
    const read = (who: string) => app.medplum.readResource('Patient', who, { onBehalfOf: who });
    await Promise.all(['a', 'b', 'c'].map((who) => tenant.run(who, () => read(who))));
    expect(app.wire.requests.map(({ headers, path }) => `${path} ${String(headers['x-tenant'])}`).toSorted()).toEqual([
      '/fhir/R4/Patient/a a',
      '/fhir/R4/Patient/b b',
      '/fhir/R4/Patient/c c',
    ]);
  });

  it('is not called for a call without an identity', async () => {
    const hook = jest.fn();
    await start(hook);
    await expect(app.medplum.readResource('Patient', '1')).rejects.toMatchObject({
      code: 'MEDPLUM_ON_BEHALF_OF_REQUIRED',
    });
    expect(hook).not.toHaveBeenCalled();
  });

  it('is not called for token requests', async () => {
    const hook = jest.fn();
    await start(hook, { auth: 'client-credentials' }, ({ path }) => ({
      body: path === '/oauth2/token' ? { access_token: 't', token_type: 'Bearer', expires_in: 60 } : PATIENT,
    }));
    await app.medplum.readResource('Patient', '1', { onBehalfOf });
    expect(hook).toHaveBeenCalledTimes(1);
  });
});

describe('A call is refused, with an event and nothing sent, if beforeRequest', () => {
  const refused: readonly [string, MedplumBeforeRequest, RegExp][] = [
    [
      'throws',
      () => {
        throw new TypeError('Homer Simpson');
      },
      /threw/,
    ],
    ['rejects', () => Promise.reject(new Error('Homer Simpson')), /threw/],
    ['sets Authorization', set(({ headers }) => (headers['Authorization'] = 'Basic x')), /authorization/],
    ['sets the identity', set(({ headers }) => (headers['X-Medplum-On-Behalf-Of'] = 'Practitioner/2')), /on-behalf-of/],
    ['clears the identity', set(({ headers }) => (headers['x-medplum-on-behalf-of'] = '')), /on-behalf-of/],
    ['sets X-Medplum', set(({ headers }) => (headers['x-medplum'] = 'extended')), /x-medplum/],
    ['sets Host', set(({ headers }) => (headers['host'] = 'elsewhere.example')), /host/],
    [
      'puts a line break into a header',
      set(({ headers }) => (headers['x-a'] = 'a\r\nx-medplum-on-behalf-of: b')),
      /x-a/,
    ],
    [
      'leads to another server',
      set((prepared) => (prepared.path = 'https://elsewhere.example/fhir/R4/Patient/1')),
      /base URL/,
    ],
    [
      'leads to another server without a scheme',
      set((prepared) => (prepared.path = '//elsewhere.example/fhir')),
      /base URL/,
    ],
    ['requests a token', set((prepared) => (prepared.path = '/oauth2/token')), /tokens/],
    ['requests the profile of the client', set((prepared) => (prepared.path = '/auth/me')), /tokens/],
    ['sets an object as the body', set((prepared) => (prepared.body = { resourceType: 'Patient' } as never)), /body/],
    ['returns another request', (prepared) => ({ ...prepared, path: '/fhir/R4/Patient/2' }) as never, /returned/],
    ['returns a path', () => ({ path: '/fhir/R4/Patient/2' }) as never, /returned/],
    ['returns headers', () => Promise.resolve({ headers: {} }) as never, /returned/],
    ['returns a body', () => ({ body: undefined }) as never, /returned/],
    ['changes the client', set((prepared) => ((prepared as { client: string }).client = 'other')), /threw/],
    [
      'changes the path template',
      set((prepared) => ((prepared as { pathTemplate: string }).pathTemplate = '/Homer')),
      /threw/,
    ],
    ['replaces the headers by text', set((prepared) => (prepared.headers = 'x-a: b' as never)), /cannot be sent/],
    [
      'leaves headers that cannot be read',
      ({ headers }) => {
        Object.defineProperty(headers, 'x-a', {
          enumerable: true,
          get: () => {
            throw new Error('Homer Simpson');
          },
        });
      },
      /beforeRequest option failed\. Nothing was sent\.$/,
    ],
    ['changes the method', set((prepared) => ((prepared as { method: string }).method = 'DELETE')), /threw/],
    ['adds a key', set((prepared) => ((prepared as { onBehalfOf?: string }).onBehalfOf = '')), /threw/],
  ];

  it.each(refused)('%s', async (_what, hook, message) => {
    await start(hook);
    const error = await failureOf(app.medplum.readResource('Patient', '1', { onBehalfOf }));
    expect(error).toBeInstanceOf(MedplumBeforeRequestError);
    expect(error).toMatchObject({ code: 'MEDPLUM_BEFORE_REQUEST', effect: 'none', retryable: false });
    expect((error as Error).message).toMatch(message);
    expect(error.message).toMatch(/^The beforeRequest option ([^.]+\. )+Nothing was sent(\.|; cause has its name\.)$/);
    expect((error as Error).message).not.toMatch(/Homer|Practitioner|elsewhere/);
    expect(app.wire.requests).toHaveLength(0);
    expect(app.events).toMatchObject([
      { outcome: 'refused', attempts: [], onBehalfOf, error: { code: 'MEDPLUM_BEFORE_REQUEST' } },
    ]);
  });

  it('throws, and the error has the name of what it threw, but nothing else of it', async () => {
    await start(() => {
      throw new TypeError('Homer Simpson');
    });
    const error = await failureOf(app.medplum.readResource('Patient', '1', { onBehalfOf }));
    expect(error.cause).toEqual({ name: 'TypeError' });
  });

  it('makes a request that cannot be sent, and the error says which check refused it', async () => {
    await start(set(({ headers }) => (headers['host'] = 'elsewhere.example')));
    const error = await failureOf(app.medplum.readResource('Patient', '1', { onBehalfOf }));
    expect(error.cause).toMatchObject({ name: 'MedplumBadRequestError' });
  });

  it('makes a bundle asynchronous, which would run it as the client', async () => {
    await start(({ headers }) => void (headers['prefer'] = 'respond-async'));
    const error = await failureOf(app.medplum.executeBatch(BATCH, { onBehalfOf }));
    expect(isMedplumError(error) && error.message).toMatch(/respond-async/);
    expect(app.wire.requests).toHaveLength(0);
    expect(app.events).toHaveLength(1);
  });

  it('changes the number of entries of a bundle', async () => {
    await start((prepared) => {
      prepared.body = '{"resourceType":"Bundle","type":"batch","entry":[]}';
    });
    await expect(app.medplum.executeBatch(BATCH, { onBehalfOf })).rejects.toThrow(/number of entries/);
    expect(app.wire.requests).toHaveLength(0);
  });

  it.each<readonly [string, MedplumPreparedRequest['body']]>([
    ['that is no bundle', '{"resourceType":"Patient"}'],
    ['that is no JSON', '<Bundle/>'],
    ['that is null', 'null'],
    ['that can be read only once', Readable.from(['{"resourceType":"Bundle","type":"batch","entry":[{}]}'])],
  ])('replaces a bundle by a body %s', async (_what, body) => {
    await start(set((prepared) => (prepared.body = body)));
    await expect(app.medplum.executeBatch(BATCH, { onBehalfOf })).rejects.toThrow(/number of entries/);
    expect(app.wire.requests).toHaveLength(0);
  });

  it('sets a header of the library in any spelling', async () => {
    await start(() => undefined);
    const names = fc.constantFrom('authorization', 'x-medplum-on-behalf-of', 'x-medplum');
    const spelling = fc.tuple(names, fc.infiniteStream(fc.boolean())).map(([name, upper]) =>
      name
        .split('')
        .map((letter) => (upper.next().value === true ? letter.toUpperCase() : letter))
        .join(''),
    );
    await fc.assert(
      fc.asyncProperty(spelling, fc.string(), async (name, value) => {
        const wire = app.wire.requests.length;
        const hooked = await startMedplumApp({
          baseUrl: app.wire.baseUrl,
          beforeRequest: ({ headers }) => void (headers[name] = value),
        });
        try {
          await expect(hooked.medplum.readResource('Patient', '1', { onBehalfOf })).rejects.toBeInstanceOf(
            MedplumBeforeRequestError,
          );
          expect(app.wire.requests).toHaveLength(wire);
        } finally {
          await hooked.close();
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('A pending beforeRequest ends', () => {
  it('with the timeout of the call', async () => {
    await start(never, { timeout: 40 });
    const error = await failureOf(app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf }));
    expect(error).toBeInstanceOf(MedplumTimeoutError);
    expect(error).toMatchObject({ effect: 'none', retryable: true });
    expect(app.wire.requests).toHaveLength(0);
    expect(app.events).toMatchObject([{ outcome: 'refused', attempts: [] }]);
  });

  it('with the signal of the call', async () => {
    await start(never);
    const controller = new AbortController();
    const call = failureOf(app.medplum.readResource('Patient', '1', { onBehalfOf, signal: controller.signal }));
    controller.abort();
    const error = await call;
    expect(error).toBeInstanceOf(MedplumAbortError);
    expect(error).toMatchObject({ effect: 'none', retryable: false });
    expect(app.events).toHaveLength(1);
  });

  it('with the app, and the call may be made again elsewhere', async () => {
    await start(never, { shutdownTimeout: 1 });
    const call = failureOf(app.medplum.readResource('Patient', '1', { onBehalfOf }));
    await app.module.close();
    expect(await call).toMatchObject({ cause: { code: 'SHUTDOWN' }, effect: 'none', retryable: true });
  });

  it('and leaves nothing on the signal of the call', async () => {
    await start(() => Promise.resolve());
    const { signal } = new AbortController();
    await app.medplum.readResource('Patient', '1', { onBehalfOf, signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('A request that beforeRequest has changed', () => {
  const options = { retry: { minTimeout: 1, maxRetries: 2 } };
  const identifier = [{ system: 'urn:mrn', value: '7' }];
  const create = () =>
    app.medplum.createResourceIfNoneExist({ resourceType: 'Patient', identifier }, 'identifier=urn:mrn|7', {
      onBehalfOf,
    });

  it('is retried as before if only headers were added', async () => {
    await start(({ headers }) => void (headers['x-a'] = 'b'), options, failing);
    await failureOf(create());
    expect(app.wire.requests).toHaveLength(3);
  });

  it.each<[string, (prepared: MedplumPreparedRequest) => void]>([
    ['its body', (prepared) => (prepared.body = '{"resourceType":"Patient"}')],
    ['its condition', ({ headers }) => (headers['if-none-exist'] = 'name=x')],
    ['its path', (prepared) => (prepared.path += '?_pretty=true')],
  ])('is no longer retried if the decision to retry depended on %s', async (_what, change) => {
    await start(change, options, failing);
    expect(await failureOf(create())).toMatchObject({ effect: 'unknown', retryable: false });
    expect(app.wire.requests).toHaveLength(1);
  });

  it.each<[string, (prepared: MedplumPreparedRequest) => void]>([
    ['another resource', (prepared) => (prepared.path = '/fhir/R4/Patient/2')],
    ['another query', (prepared) => (prepared.path += '?_pretty=true')],
  ])('is still retried if it reads %s', async (_what, change) => {
    await start(change, options, failing);
    expect(await failureOf(app.medplum.readResource('Patient', '1', { onBehalfOf }))).toMatchObject({
      effect: 'none',
      retryable: true,
    });
    expect(app.wire.requests).toHaveLength(3);
  });

  it('is still retried if it searches by POST for something else', async () => {
    await start((prepared) => void (prepared.body = 'name=y'), options, failing);
    await failureOf(app.medplum.searchResources('Patient', { name: 'x' }, { onBehalfOf, post: true }));
    expect(app.wire.requests.map(({ body }) => body)).toEqual(['name=y', 'name=y', 'name=y']);
  });

  it('is never retried if its body is a stream, which can be read only once', async () => {
    await start(
      (prepared) => void (prepared.body = Readable.from(['{"resourceType":"Patient","id":"1"}'])),
      options,
      () => ({ status: 429 }),
    );
    await failureOf(app.medplum.updateResource(PATIENT, { onBehalfOf }));
    expect(app.wire.requests).toHaveLength(1);
  });

  it('is recorded as the same search if only its query is another one', async () => {
    await start((prepared) => void (prepared.path += '&_count=1'));
    await app.medplum.search('Patient', { name: 'Homer' }, { onBehalfOf });
    expect(app.wire.requests[0]?.path).toBe('/fhir/R4/Patient?name=Homer&_count=1');
    expect(app.events[0]).toMatchObject({ action: 'search', resourceType: 'Patient' });
  });

  it('is no longer retried if a search has become a write', async () => {
    await start((prepared) => void (prepared.path = '/fhir/R4/Patient'), options, failing);
    await failureOf(app.medplum.searchResources('Patient', { name: 'x' }, { onBehalfOf, post: true }));
    expect(app.wire.requests).toMatchObject([{ method: 'POST', path: '/fhir/R4/Patient' }]);
  });

  it('is recorded as it is sent, in its intent too', async () => {
    const sink = new MemorySink();
    await start((prepared) => void (prepared.path = '/fhir/R4/Person'), { audit: { mode: 'require', sinks: [sink] } });
    await app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf });
    expect(sink.events.map(({ outcome, path }) => `${outcome} ${path}`)).toEqual([
      'pending /fhir/R4/Person',
      'success /fhir/R4/Person',
    ]);
  });
});
