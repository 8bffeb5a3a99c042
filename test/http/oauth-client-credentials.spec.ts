import { Agent, interceptors } from 'undici';
import {
  MedplumConnectionError,
  MedplumServerError,
  type MedplumDispatcher,
  type MedplumService,
  MedplumUnauthorizedError,
} from 'nestjs-medplum';
import { OAuthClientCredentials } from '../../lib/http/oauth-client-credentials';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { seededRandom } from '../support/seeded-random';
import { outcome, type WireAnswer, type WireRequest, WireServer } from '../support/wire-server';

const TOKEN_PATH = '/oauth2/token';

describe("auth: 'client-credentials'", () => {
  let app: MedplumApp;
  let issued: number;
  let token: (request: WireRequest) => WireAnswer;
  let resource: (request: WireRequest) => WireAnswer;

  const tokenRequests = () => app.wire.requests.filter(({ path }) => path === TOKEN_PATH);
  const read = (medplum: MedplumService = app.medplum) => medplum.readResource('Patient', '1', { onBehalfOf: 'a' });

  async function start(clientSecret: string | (() => string) = 's3cret&=') {
    app = await startMedplumApp(
      { auth: 'client-credentials', clientSecret, retry: { maxRetries: 0 } },
      { handler: (request) => (request.path === TOKEN_PATH ? token(request) : resource(request)) },
    );
  }

  async function startWith(dispatcher: MedplumDispatcher): Promise<void> {
    app = await startMedplumApp(
      { auth: 'client-credentials', retry: { maxRetries: 0 }, dispatcher },
      { handler: (request) => (request.path === TOKEN_PATH ? token(request) : resource(request)) },
    );
  }

  beforeEach(() => {
    issued = 0;
    token = () => ({ body: { access_token: `token-${++issued}`, token_type: 'Bearer', expires_in: 3600 } });
    resource = () => ({ body: { resourceType: 'Patient', id: '1' } });
  });

  afterEach(async () => {
    await app.close();
  });

  it('gets one token for however many first calls, without an identity, and uses it', async () => {
    await start();
    await Promise.all(Array.from({ length: 20 }, () => read()));
    expect(tokenRequests()).toHaveLength(1);
    const [request] = tokenRequests();
    expect(request?.onBehalfOf).toBeUndefined();
    expect(request?.headers).toMatchObject({
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(request?.headers.authorization).toBeUndefined();
    expect(Object.fromEntries(new URLSearchParams(request?.body))).toEqual({
      grant_type: 'client_credentials',
      client_id: 'client-1',
      client_secret: 's3cret&=',
    });
    const calls = app.wire.requests.filter(({ path }) => path !== TOKEN_PATH);
    expect(new Set(calls.map(({ headers, onBehalfOf }) => `${headers.authorization} ${onBehalfOf}`))).toEqual(
      new Set(['Bearer token-1 ProjectMembership/a']),
    );
  });

  it('renews a refused token once and repeats the call; late refusals of the old one renew nothing', async () => {
    await start();
    const random = seededRandom();
    resource = ({ headers }) =>
      headers.authorization === 'Bearer token-1'
        ? { status: 401, delay: random() * 20, body: outcome('unauthorized', 'login', 'Unauthorized') }
        : { body: { resourceType: 'Patient', id: '1' } };
    await Promise.all(Array.from({ length: 10 }, () => read()));
    expect(tokenRequests()).toHaveLength(2);
    expect(app.events[0]?.attempts.map(({ status }) => status)).toEqual([401, 200]);
  });

  it('gives up when the new token is refused as well', async () => {
    await start();
    resource = () => ({ status: 401, body: outcome('unauthorized', 'login', 'Unauthorized') });
    await expect(read()).rejects.toThrow(MedplumUnauthorizedError);
    expect(tokenRequests()).toHaveLength(2);
  });

  /** Issues tokens that last so many seconds. */
  function issueFor(lifetime: unknown): void {
    token = () => ({ body: { access_token: `token-${++issued}`, token_type: 'bearer', expires_in: lifetime } });
  }

  describe('as its lifetime goes by', () => {
    const now = performance.now.bind(performance);
    let elapsed: number;

    beforeEach(() => {
      elapsed = 0;
      jest.spyOn(performance, 'now').mockImplementation(() => now() + elapsed * 1000);
    });
    afterEach(() => jest.restoreAllMocks());

    /** The tokens that calls use which are made these seconds after the token was issued. */
    async function tokensAfter(...seconds: readonly number[]): Promise<(string | undefined)[]> {
      const used: (string | undefined)[] = [];
      for (elapsed of seconds) {
        await read();
        used.push(app.wire.requests.at(-1)?.headers.authorization?.replace('Bearer ', ''));
      }
      return used;
    }

    it.each([
      ['an hour: a minute before it expires', 3600, 3535, 3545],
      ['100 s: a tenth of its lifetime before it expires', 100, 85, 95],
      ['a time that is not told: as if it were 300 s', undefined, 265, 275],
      ['a time that is no number: as if it were 300 s', '3600', 265, 275],
      ['a time that is over already: as if it were 300 s', 0, 265, 275],
    ])('is renewed if it lasts %s', async (_what, lifetime, early, late) => {
      await start();
      issueFor(lifetime);
      expect(await tokensAfter(0, early, late)).toEqual(['token-1', 'token-1', 'token-2']);
    });

    it('serves calls on when it cannot be renewed, until it expires', async () => {
      await start();
      issueFor(100);
      await read();
      token = () => ({ status: 503 });
      // The token endpoint is asked again only after a second.
      expect(await tokensAfter(92, 92.1, 94, 98)).toEqual(['token-1', 'token-1', 'token-1', 'token-1']);
      expect(tokenRequests()).toHaveLength(4);
      elapsed = 101;
      await expect(read()).rejects.toThrow(MedplumServerError);
    });

    it('is requested again a second after a failed request', async () => {
      await start();
      token = () => ({ status: 503 });
      await expect(read()).rejects.toThrow(MedplumServerError);
      issueFor(100);
      elapsed = 0.5;
      await expect(read()).rejects.toThrow(MedplumServerError);
      expect(await tokensAfter(1.5)).toEqual(['token-1']);
      // The failure is over: the next token is requested as soon as it is due.
      expect(await tokensAfter(93)).toEqual(['token-2']);
    });
  });

  it('does not let one waiter that is aborted spoil the token for the others', async () => {
    await start();
    let release: (() => void) | undefined;
    const asked = new Promise<void>((resolve) => {
      app.wire.handler = async (request) => {
        if (request.path !== TOKEN_PATH) return resource(request);
        resolve();
        await new Promise<void>((go) => (release = go));
        return token(request);
      };
    });
    const abort = new AbortController();
    const first = app.medplum.readResource('Patient', '1', { onBehalfOf: 'a', signal: abort.signal });
    const second = read();
    await asked;
    abort.abort();
    await expect(first).rejects.toMatchObject({ code: 'MEDPLUM_ABORT', effect: 'none' });
    release?.();
    await expect(second).resolves.toMatchObject({ id: '1' });
    expect(tokenRequests()).toHaveLength(1);
  });

  it.each([
    [
      'wrong credentials',
      { status: 400, body: { error: 'invalid_request', error_description: 'Invalid secret' } },
      MedplumUnauthorizedError,
    ],
    ['a failing server', { status: 500, body: { msg: 'Internal Server Error' } }, MedplumServerError],
    ['a broken connection', { destroy: true }, MedplumConnectionError],
  ])('refuses calls for %s, with nothing sent, and does not ask again at once', async (_what, answer, type) => {
    await start();
    token = () => answer;
    await expect(read()).rejects.toThrow(type);
    await expect(read()).rejects.toThrow(type);
    expect(app.wire.requests.map(({ path }) => path)).toEqual([TOKEN_PATH]);
    expect(app.events).toMatchObject([1, 2].map(() => ({ outcome: 'refused', attempts: [], effect: 'none' })));
  });

  it('asks a secret function for each token, so that a rotated secret is used', async () => {
    const secrets = ['old', 'new'];
    await start(() => secrets.shift() ?? 'none');
    resource = ({ headers }) =>
      headers.authorization === 'Bearer token-1'
        ? { status: 401, body: outcome('unauthorized', 'login', 'Unauthorized') }
        : { body: { resourceType: 'Patient', id: '1' } };
    await read();
    expect(tokenRequests().map(({ body }) => new URLSearchParams(body).get('client_secret'))).toEqual(['old', 'new']);
  });

  describe('with a dispatcher of the app', () => {
    const agents: Agent[] = [];
    let elsewhere: WireServer;

    const agent = (): Agent => {
      const made = new Agent();
      agents.push(made);
      return made;
    };

    beforeEach(async () => {
      elsewhere = await WireServer.start(() => ({ body: { access_token: 'stolen', token_type: 'Bearer' } }));
    });

    afterEach(async () => {
      await elsewhere.close();
      await Promise.all(agents.splice(0).map((one) => one.destroy()));
    });

    it('does not let a redirect interceptor take the client secret elsewhere', async () => {
      await startWith(agent().compose(interceptors.redirect({ maxRedirections: 3 })));
      token = () => ({ status: 307, headers: { location: `${elsewhere.baseUrl}oauth2/token` } });
      await expect(read()).rejects.toMatchObject({ code: 'MEDPLUM_PROTOCOL', effect: 'none', retryable: false });
      expect(elsewhere.requests).toEqual([]);
      expect(app.wire.requests.map(({ path }) => path)).toEqual([TOKEN_PATH]);
    });

    it('refuses a token that came from a redirect in spite of that', async () => {
      const inner = agent();
      await startWith({
        request: async (options) =>
          Object.assign(await inner.request(options), {
            context: { history: [new URL('https://elsewhere.example/')] },
          }),
      });
      await expect(read()).rejects.toMatchObject({ code: 'MEDPLUM_PROTOCOL', effect: 'none' });
      expect(app.wire.requests.map(({ path }) => path)).toEqual([TOKEN_PATH]);
    });

    it('does not let a retry interceptor repeat a token request', async () => {
      const retry = interceptors.retry({ methods: ['POST'], statusCodes: [503], minTimeout: 1, maxRetries: 3 });
      await startWith(agent().compose(retry));
      token = () => ({ status: 503 });
      await expect(read()).rejects.toThrow(MedplumServerError);
      expect(tokenRequests()).toHaveLength(1);
    });
  });

  it.each([
    ['with a length', true],
    ['in chunks', false],
  ])('refuses a token response that is too large, %s, and closes its connection', async (_how, hasLength) => {
    await start();
    const text = JSON.stringify({ access_token: 'a'.repeat(64 * 1024), token_type: 'Bearer' });
    let tell: (() => void) | undefined;
    const closed = new Promise<void>((resolve) => (tell = resolve));
    app.wire.handler = (_request, response) => {
      response.once('close', () => tell?.());
      const type = { 'content-type': 'application/json' };
      response.writeHead(200, hasLength ? { ...type, 'content-length': String(text.length + 1) } : type);
      response.write(text);
      // It never ends, so only the client can end it.
      return undefined;
    };
    await expect(read()).rejects.toMatchObject({ code: 'MEDPLUM_PROTOCOL', effect: 'none', retryable: false });
    await closed;
    expect(app.wire.requests).toHaveLength(1);
    expect(app.events).toMatchObject([{ outcome: 'refused', attempts: [] }]);
  });

  it.each<readonly [string, unknown]>([
    ['no JSON', '<h1>Welcome</h1>'],
    ['null', 'null'],
    ['an object without a token', { token_type: 'Bearer' }],
    ['a token that is no text', { access_token: 5, token_type: 'Bearer' }],
    ['an empty token', { access_token: '', token_type: 'Bearer' }],
    ['a token that would break the header', { access_token: 'a b', token_type: 'Bearer' }],
    ['a token behind a line break', { access_token: '\na', token_type: 'Bearer' }],
    ['a token before a line break', { access_token: 'a\n', token_type: 'Bearer' }],
    ['a token without a type', { access_token: 'a' }],
    ['a token of another type', { access_token: 'a', token_type: 'DPoP' }],
    ['a token of a similar type', { access_token: 'a', token_type: 'Bearers' }],
    ['a token of a type that ends alike', { access_token: 'a', token_type: 'NotBearer' }],
  ])('refuses %s in place of a bearer token, and sends nothing with it', async (_what, body) => {
    await start();
    token = () => ({ body });
    await expect(read()).rejects.toMatchObject({ code: 'MEDPLUM_PROTOCOL', status: 200, retryable: false });
    expect(app.wire.requests.map(({ path }) => path)).toEqual([TOKEN_PATH]);
  });

  it.each([
    [302, 'MEDPLUM_PROTOCOL', false],
    [399, 'MEDPLUM_PROTOCOL', false],
    [204, 'MEDPLUM_UNAUTHORIZED', false],
    [400, 'MEDPLUM_UNAUTHORIZED', false],
    [401, 'MEDPLUM_UNAUTHORIZED', false],
    [429, 'MEDPLUM_RATE_LIMIT', true],
    [499, 'MEDPLUM_UNAUTHORIZED', false],
    [500, 'MEDPLUM_SERVER', true],
    [503, 'MEDPLUM_SERVER', true],
  ])('a %d of the token endpoint is a %s; whether to try again: %s', async (status, code, retryable) => {
    await start();
    token = () => ({ status, ...(status === 204 ? {} : { body: {} }) });
    await expect(read()).rejects.toMatchObject({ code, status, retryable, effect: 'none' });
  });

  it('a connection that broke may be tried again', async () => {
    await start();
    token = () => ({ destroy: true });
    await expect(read()).rejects.toMatchObject({
      code: 'MEDPLUM_CONNECTION',
      retryable: true,
      cause: { code: expect.stringMatching(/^\w+$/) as string },
    });
  });

  it('names the failure of the server, however large its error page is', async () => {
    await start();
    token = () => ({ status: 503, body: 'x'.repeat(100_000) });
    await expect(read()).rejects.toThrow(MedplumServerError);
  });

  it.each([400, 401, 429, 503])('a %d of the token endpoint is no Response of fetch()', async (status) => {
    await start();
    token = () => ({ status, body: {} });
    await expect(app.medplum.fetch('fhir/R4/Patient/1', { onBehalfOf: 'a' })).rejects.toMatchObject({
      status,
      effect: 'none',
    });
    expect(app.wire.requests.map(({ path }) => path)).toEqual([TOKEN_PATH]);
  });

  it('a token endpoint that fails after a 401 is no Response of fetch() either', async () => {
    await start();
    resource = () => ((token = () => ({ status: 403, body: {} })), { status: 401 });
    await expect(app.medplum.fetch('fhir/R4/Patient/1', { onBehalfOf: 'a' })).rejects.toMatchObject({ status: 403 });
    expect(app.events).toMatchObject([{ outcome: 'error', attempts: [{ status: 401 }] }]);
  });
});

describe('A token endpoint that never answers', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('fails the calls that wait for 10 s', async () => {
    const credentials = new OAuthClientCredentials({
      baseUrl: { origin: 'https://medplum.example', path: '/' },
      dispatcher: { request: () => new Promise(() => undefined) },
      clientId: 'client-1',
      clientSecret: 'secret-1',
    });
    const waiting = Promise.allSettled([credentials.authorization(), credentials.authorization()]);
    // The secret is read first.
    await Promise.resolve();
    jest.advanceTimersByTime(9_999);
    expect(jest.getTimerCount()).toBe(1);
    jest.advanceTimersByTime(1);
    const late = { status: 'rejected', reason: { code: 'MEDPLUM_TIMEOUT', effect: 'none', retryable: true } };
    expect(await waiting).toMatchObject([late, late]);
    expect(jest.getTimerCount()).toBe(0);
  });
});
