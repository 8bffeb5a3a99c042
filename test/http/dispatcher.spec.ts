import { Agent, interceptors, MockAgent, Pool } from 'undici';
import { MedplumConnectionError, type MedplumDispatcher } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { WireServer } from '../support/wire-server';

let app: MedplumApp;

afterEach(() => app.close());

const read = () => app.medplum.readResource('Patient', '1', { onBehalfOf: 'm-1' });
const create = () => app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf: 'm-1' });

describe('A dispatcher that was given', () => {
  it('is used, and not closed: an Agent', async () => {
    const dispatcher = new Agent();
    try {
      const request = jest.spyOn(dispatcher, 'request');
      app = await startMedplumApp({ dispatcher });
      await read();
      expect(request).toHaveBeenCalledTimes(1);
      expect(app.wire.requests).toHaveLength(1);
      await app.module.close();
      expect(dispatcher.closed).toBe(false);
      expect(dispatcher.destroyed).toBe(false);
    } finally {
      await dispatcher.destroy();
    }
  });

  it('is used, and not closed: a MockAgent, with no server at all', async () => {
    const dispatcher = new MockAgent();
    dispatcher.disableNetConnect();
    try {
      dispatcher
        .get('https://medplum.example')
        .intercept({
          path: '/projects/p1/fhir/R4/Patient/1',
          headers: { 'x-medplum-on-behalf-of': 'ProjectMembership/m-1', 'x-medplum': 'extended' },
        })
        .reply(200, { resourceType: 'Patient', id: '1' });
      app = await startMedplumApp({ baseUrl: 'https://medplum.example/projects/p1', dispatcher });
      await expect(read()).resolves.toEqual({ resourceType: 'Patient', id: '1' });
      dispatcher.assertNoPendingInterceptors();
    } finally {
      await dispatcher.close();
    }
  });

  it('may tell that it followed no redirect', async () => {
    const agent = new Agent();
    const dispatcher: MedplumDispatcher = {
      request: async (options) => Object.assign(await agent.request(options), { context: { history: [] } }),
    };
    try {
      app = await startMedplumApp({ dispatcher });
      await expect(read()).resolves.toMatchObject({ id: '1' });
    } finally {
      await agent.destroy();
    }
  });

  it.each([
    ['of known length', true],
    ['in chunks', false],
  ])('may bring as many bytes as the client reads, and not one more: %s', async (_how, hasLength) => {
    const text = JSON.stringify({ resourceType: 'Patient', id: '1' });
    const dispatcher = new Agent();
    const options = { dispatcher, maxResponseBytes: Math.max(1024, text.length) };
    const padded = (length: number) => text.padEnd(length);
    try {
      app = await startMedplumApp(options, {
        handler: (_request, response) => {
          const body = padded(options.maxResponseBytes + (app.wire.requests.length > 1 ? 1 : 0));
          const length = { 'content-length': String(body.length) };
          response.writeHead(200, { 'content-type': 'application/json', ...(hasLength ? length : {}) });
          response.end(body);
          return undefined;
        },
      });
      await expect(read()).resolves.toMatchObject({ id: '1' });
      await expect(read()).rejects.toMatchObject({ code: 'MEDPLUM_CONTENT_TOO_LARGE' });
    } finally {
      await dispatcher.destroy();
    }
  });

  it('may pass on several lines of one header, which are read as one', async () => {
    const ratelimit = ['"requests";r=0;t=4', '"fhirInteractions";r=0;t=60'];
    const dispatcher = new Agent();
    try {
      app = await startMedplumApp({ dispatcher }, { handler: () => ({ status: 429, headers: { ratelimit } }) });
      await expect(read()).rejects.toMatchObject({ code: 'MEDPLUM_RATE_LIMIT', retryAfter: 60_000 });
    } finally {
      await dispatcher.destroy();
    }
  });

  it('may fail in any way: the error is typed, and shows nothing of it', async () => {
    const failures: readonly (() => unknown)[] = [
      () => {
        throw new Error('taint');
      },
      () => Promise.reject(Object.assign(new Error('taint'), { code: 'taint Patient/1' })),
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- what others may do
      () => Promise.reject('taint'),
      () => Promise.resolve(undefined),
      () => Promise.resolve({ statusCode: 200, headers: {}, body: undefined }),
    ];
    const left = failures.values();
    const dispatcher = { request: () => left.next().value?.() } as MedplumDispatcher;
    app = await startMedplumApp({ dispatcher, retry: { maxRetries: 0 } });
    for (let i = 0; i < failures.length; i++) {
      const error: unknown = await create().catch((reason: unknown) => reason);
      expect(error).toHaveProperty('code', expect.stringMatching(/^MEDPLUM_(?:CONNECTION|PROTOCOL)$/) as unknown);
      expect(`${String(error)} ${JSON.stringify(error)} ${JSON.stringify(app.events.at(-1))}`).not.toContain('taint');
    }
    expect(app.events).toHaveLength(failures.length);
  });
});

describe('A dispatcher that is destroyed', () => {
  it('leaves the fate of what was under way unknown', async () => {
    let tell: (() => void) | undefined;
    const arrived = new Promise<void>((resolve) => (tell = resolve));
    app = await startMedplumApp();
    app.wire.handler = () => {
      tell?.();
      return undefined;
    };
    const dispatcher = new Pool(new URL(app.wire.baseUrl).origin);
    const other = await startMedplumApp({ dispatcher, baseUrl: app.wire.baseUrl });
    try {
      const write = other.medplum
        .createResource({ resourceType: 'Patient' }, { onBehalfOf: 'm-1' })
        .catch((reason: unknown) => reason);
      await arrived;
      await dispatcher.destroy();
      const error = await write;
      expect(error).toBeInstanceOf(MedplumConnectionError);
      expect(error).toMatchObject({ effect: 'unknown', retryable: false });
    } finally {
      await other.close();
    }
  });

  it('sends nothing afterwards, and is not tried again', async () => {
    const dispatcher = new Agent();
    app = await startMedplumApp({ dispatcher });
    await dispatcher.destroy();
    await expect(create()).rejects.toMatchObject({ code: 'MEDPLUM_CONNECTION', effect: 'none' });
    expect(app.events.at(-1)?.attempts).toHaveLength(1);
  });
});

describe('The pool of the library', () => {
  it('lets calls finish when the app shuts down, and takes none afterwards', async () => {
    let release: (() => void) | undefined;
    let tell: (() => void) | undefined;
    const arrived = new Promise<void>((resolve) => (tell = resolve));
    const released = new Promise<void>((resolve) => (release = resolve));
    app = await startMedplumApp(
      {},
      {
        handler: async () => {
          tell?.();
          await released;
          return { body: { resourceType: 'Patient', id: '1' } };
        },
      },
    );
    const call = read();
    await arrived;
    const closed = app.module.close();
    release?.();
    await expect(call).resolves.toMatchObject({ id: '1' });
    await closed;
    await expect(create()).rejects.toMatchObject({ code: 'MEDPLUM_CONNECTION', effect: 'none' });
    expect(app.wire.requests).toHaveLength(1);
  });
});

describe('Interceptors of undici on a dispatcher that was given', () => {
  const agents: Agent[] = [];
  const composed = (...chosen: Parameters<Agent['compose']>): MedplumDispatcher => {
    const agent = new Agent();
    agents.push(agent);
    return agent.compose(...chosen);
  };

  afterEach(() => Promise.all(agents.splice(0).map((agent) => agent.destroy())));

  it('redirect: is switched off, so credentials and identity go nowhere else', async () => {
    const elsewhere = await WireServer.start();
    try {
      app = await startMedplumApp(
        { dispatcher: composed(interceptors.redirect({ maxRedirections: 3 })) },
        { handler: () => ({ status: 307, headers: { location: `${elsewhere.baseUrl}fhir/R4/Patient/1` } }) },
      );
      await expect(read()).rejects.toMatchObject({ code: 'MEDPLUM_PROTOCOL', status: 307 });
      expect(elsewhere.requests).toHaveLength(0);
    } finally {
      await elsewhere.close();
    }
  });

  it('refuses the response when it redirects in spite of that', async () => {
    const agent = new Agent();
    agents.push(agent);
    const dispatcher: MedplumDispatcher = {
      request: async (options) => {
        const response = await agent.request(options);
        return Object.assign(response, { context: { history: [new URL('https://elsewhere.example/')] } });
      },
    };
    app = await startMedplumApp({ dispatcher });
    await expect(read()).rejects.toMatchObject({ code: 'MEDPLUM_PROTOCOL', effect: 'none', retryable: false });
    await expect(create()).rejects.toMatchObject({ code: 'MEDPLUM_PROTOCOL', effect: 'unknown', retryable: false });
    expect(app.events.at(-1)?.attempts).toMatchObject([{ error: 'REDIRECT_FOLLOWED' }]);
  });

  it('retry: is switched off, so a write is sent once', async () => {
    const retry = interceptors.retry({ methods: ['POST'], statusCodes: [503], minTimeout: 1, maxRetries: 3 });
    app = await startMedplumApp({ dispatcher: composed(retry) }, { handler: () => ({ status: 503 }) });
    await expect(create()).rejects.toMatchObject({ code: 'MEDPLUM_SERVER', status: 503, effect: 'unknown' });
    expect(app.wire.requests).toHaveLength(1);
  });

  it('cache: is switched off, so nobody gets the chart of another', async () => {
    app = await startMedplumApp(
      { dispatcher: composed(interceptors.cache()) },
      {
        handler: ({ onBehalfOf }) => ({
          headers: { 'cache-control': 'public, max-age=600' },
          body: { resourceType: 'Patient', id: '1', language: onBehalfOf?.split('/')[1] },
        }),
      },
    );
    for (const onBehalfOf of ['m-1', 'm-2']) {
      await expect(app.medplum.readResource('Patient', '1', { onBehalfOf })).resolves.toMatchObject({
        language: onBehalfOf,
      });
    }
    expect(app.wire.requests).toHaveLength(2);
  });
});
