import { MedplumUnauthorizedError } from 'nestjs-medplum';
import { BasicCredentials } from '../../lib/http/basic-credentials';
import { failureOf } from '../support/failure-of';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { outcome, resourceAsked, type WireRequest } from '../support/wire-server';

const UNAUTHORIZED = { status: 401, body: outcome('unauthorized', 'login', 'Unauthorized') };
const OK = { body: { resourceType: 'Patient', id: '1' } };

let app: MedplumApp;

afterEach(() => app?.close());

const read = (id = '1', onBehalfOf = 'm-1') => app.medplum.readResource('Patient', id, { onBehalfOf });

/** The secret that a request brought. */
function secretOf(request: WireRequest): string | undefined {
  const [scheme, value = ''] = (request.headers.authorization ?? '').split(' ');
  const [clientId, ...secret] = Buffer.from(value, 'base64').toString('utf8').split(':');
  return scheme === 'Basic' && clientId === 'client-1' ? secret.join(':') : undefined;
}

const secretsSent = () => app.wire.requests.map(secretOf);

describe('A secret as text', () => {
  it('is sent as it is, colons and other letters included (RFC 7617)', async () => {
    app = await startMedplumApp({ clientSecret: 'a:b€ü' });
    await read();
    expect(secretsSent()).toEqual(['a:b€ü']);
  });

  it('that is refused is not sent again', async () => {
    app = await startMedplumApp({}, { handler: () => UNAUTHORIZED });
    await expect(failureOf(read())).resolves.toMatchObject({ status: 401, effect: 'none', retryable: false });
    expect(app.wire.requests).toHaveLength(1);
  });
});

describe('A secret from a function', () => {
  it('is asked for once, by the first call, however many calls there are', async () => {
    const clientSecret = jest.fn(() => Promise.resolve('secret-1'));
    app = await startMedplumApp({ clientSecret });
    expect(clientSecret).not.toHaveBeenCalled();
    await Promise.all(Array.from({ length: 20 }, () => read()));
    await read();
    expect(clientSecret).toHaveBeenCalledTimes(1);
    expect(new Set(secretsSent())).toEqual(new Set(['secret-1']));
  });

  it('is asked for again when the server refuses it, and the call is repeated with the new one', async () => {
    const clientSecret = jest.fn<string, []>().mockReturnValueOnce('old').mockReturnValue('new');
    app = await startMedplumApp(
      { clientSecret },
      { handler: (request) => (secretOf(request) === 'new' ? OK : UNAUTHORIZED) },
    );
    // A write as well: 401 says that it was not done.
    await app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf: 'm-1' });
    expect(secretsSent()).toEqual(['old', 'new']);
    expect(app.wire.identities).toEqual(['ProjectMembership/m-1', 'ProjectMembership/m-1']);
    expect(app.events.at(-1)?.attempts).toMatchObject([{ status: 401 }, { status: 200 }]);
    await read();
    expect(clientSecret).toHaveBeenCalledTimes(2);
  });

  it('is not asked for again when the server fails, or refuses something else', async () => {
    const clientSecret = jest.fn(() => 'secret-1');
    const statuses = [403, 503];
    app = await startMedplumApp(
      { clientSecret, retry: { maxRetries: 0 } },
      { handler: () => ({ status: statuses.shift() ?? 500 }) },
    );
    await failureOf(read());
    await failureOf(read());
    expect(clientSecret).toHaveBeenCalledTimes(1);
  });

  it('is asked for once per call at most: a second 401 is the answer', async () => {
    let n = 0;
    const clientSecret = jest.fn(() => `secret-${++n}`);
    app = await startMedplumApp({ clientSecret }, { handler: () => UNAUTHORIZED });
    await expect(failureOf(read())).resolves.toBeInstanceOf(MedplumUnauthorizedError);
    expect(secretsSent()).toEqual(['secret-1', 'secret-2']);
  });

  it('that has not changed is not sent again', async () => {
    const clientSecret = jest.fn(() => 'same');
    app = await startMedplumApp({ clientSecret }, { handler: () => UNAUTHORIZED });
    await expect(failureOf(read())).resolves.toBeInstanceOf(MedplumUnauthorizedError);
    expect(app.wire.requests).toHaveLength(1);
    expect(clientSecret).toHaveBeenCalledTimes(2);
  });

  it('is asked for once when many calls are refused at once, also by those that hear of it late', async () => {
    const clientSecret = jest.fn<string, []>().mockReturnValueOnce('old').mockReturnValue('new');
    let releaseLate: (() => void) | undefined;
    const late = new Promise<void>((resolve) => (releaseLate = resolve));
    app = await startMedplumApp(
      { clientSecret },
      {
        handler: async (request) => {
          if (secretOf(request) === 'new') {
            return { body: resourceAsked(request) };
          }
          if (request.path.endsWith('/late')) {
            await late;
          }
          return UNAUTHORIZED;
        },
      },
    );
    const lateCalls = [read('late'), read('late')];
    await Promise.all(Array.from({ length: 10 }, () => read()));
    expect(clientSecret).toHaveBeenCalledTimes(2);
    releaseLate?.();
    await Promise.all(lateCalls);
    expect(clientSecret).toHaveBeenCalledTimes(2);
  });

  it.each<readonly [string, () => unknown, retryable: boolean]>([
    [
      'throws',
      () => {
        throw new Error('taint-secret');
      },
      true,
    ],
    ['rejects', () => Promise.reject(new Error('taint-secret')), true],
    ['gives nothing', () => undefined, false],
    ['gives an empty text', () => '', false],
    ['gives no text', () => Promise.resolve({ secret: 'taint-secret' }), false],
  ])('that %s is a typed error, with nothing sent; the next call asks again', async (_how, broken, retryable) => {
    let works = false;
    const clientSecret = () => (works ? 'secret-1' : broken()) as string;
    app = await startMedplumApp({ clientSecret });
    const error = await failureOf(read());
    expect(error).toBeInstanceOf(MedplumUnauthorizedError);
    expect(error).toMatchObject({ effect: 'none', retryable });
    expect(error.message).toMatch(/Nothing was sent for this call\.$/);
    expect(`${error.message} ${JSON.stringify(error)} ${JSON.stringify(error.cause)}`).not.toContain('taint');
    expect(app.events.at(-1)).toMatchObject({ outcome: 'refused', attempts: [], effect: 'none' });
    expect(app.wire.requests).toHaveLength(0);
    works = true;
    await expect(read()).resolves.toMatchObject({ id: '1' });
  });

  it('that fails for several calls at once fails each with an error of its own', async () => {
    app = await startMedplumApp({ clientSecret: () => Promise.reject(new Error('vault is sealed')) });
    const [first, second] = await Promise.all([failureOf(read('1', 'm-1')), failureOf(read('2', 'm-2'))]);
    expect(first?.request).toMatchObject({ path: '/fhir/R4/Patient/1', onBehalfOf: 'ProjectMembership/m-1' });
    expect(second?.request).toMatchObject({ path: '/fhir/R4/Patient/2', onBehalfOf: 'ProjectMembership/m-2' });
  });
});

describe('A secret from a function that never answers', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('fails the calls that wait for 10 s; the next call asks again', async () => {
    const clientSecret = jest
      .fn<string | Promise<string>, []>()
      .mockReturnValueOnce(new Promise(() => undefined))
      .mockReturnValue('secret-1');
    const credentials = new BasicCredentials('client-1', clientSecret);
    const waiting = Promise.allSettled([credentials.authorization(), credentials.authorization()]);
    jest.advanceTimersByTime(10_000);
    const late = { status: 'rejected', reason: { code: 'MEDPLUM_TIMEOUT', effect: 'none', retryable: true } };
    expect(await waiting).toMatchObject([late, late]);
    expect(clientSecret).toHaveBeenCalledTimes(1);
    const next = await credentials.authorization();
    expect(next).toBe(`Basic ${Buffer.from('client-1:secret-1').toString('base64')}`);
    expect(jest.getTimerCount()).toBe(0);
  });
});
