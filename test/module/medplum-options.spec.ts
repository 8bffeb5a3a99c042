import { MedplumConfigError, type MedplumModuleOptions } from 'nestjs-medplum';
import { resolveOptions } from '../../lib/module/resolve-options';

const VALID: MedplumModuleOptions = { clientId: 'client-1', clientSecret: 'secret-1' };

const resolve = (more: object = {}) => resolveOptions({ ...VALID, ...more }, 'default');

/** What is said of options that are wrong; nothing of others. */
function messageOf(options: unknown, client: string): string {
  try {
    resolveOptions(options as MedplumModuleOptions, client);
    return '';
  } catch (error) {
    return String(error);
  }
}

/** The problems that are told of options, one a line. */
const problemsOf = (options: unknown): string[] => messageOf(options, 'default').split('\n').slice(1);

describe('The options of a client', () => {
  it('need an id and a secret only', () => {
    expect(resolve()).toMatchObject({
      baseUrl: { origin: 'https://api.medplum.com', path: '/' },
      clientId: 'client-1',
      clientSecret: 'secret-1',
      auth: 'basic',
      requireOnBehalfOf: true,
      allowEmptyClear: true,
      extended: true,
      defaultOnBehalfOf: undefined,
      resolveOnBehalfOf: undefined,
      dispatcher: undefined,
      timeout: 30_000,
      connectTimeout: 5000,
      retry: { maxRetries: 3, minTimeout: 200, maxTimeout: 10_000 },
      pool: { connections: 64, keepAliveTimeout: 10_000 },
    });
  });

  it('are frozen', () => {
    const options = resolve();
    for (const part of [options, options.baseUrl, options.retry, options.pool]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it('take what is given, and defaults for what is undefined', () => {
    expect(
      resolve({
        auth: 'client-credentials',
        requireOnBehalfOf: false,
        allowEmptyClear: false,
        extended: undefined,
        timeout: undefined,
        retry: { maxRetries: 0, minTimeout: undefined },
        pool: { connections: 1 },
        defaultOnBehalfOf: 'm-1',
      }),
    ).toMatchObject({
      auth: 'client-credentials',
      requireOnBehalfOf: false,
      allowEmptyClear: false,
      extended: true,
      timeout: 30_000,
      retry: { maxRetries: 0, minTimeout: 200, maxTimeout: 10_000 },
      pool: { connections: 1, keepAliveTimeout: 10_000 },
      defaultOnBehalfOf: 'ProjectMembership/m-1',
    });
  });

  it('are not read again later', () => {
    const retry = { maxRetries: 1 };
    const options = resolve({ retry });
    retry.maxRetries = 9;
    expect(options.retry.maxRetries).toBe(1);
  });

  it('are wrong in one error that names every problem, and no value', () => {
    const taint = 'taint';
    const wrong = {
      baseUrl: `http://user:${taint}@${taint}.example/`,
      clientId: `${taint}:${taint}`,
      clientSecret: '',
      auth: taint,
      requireOnBehalfOf: taint,
      defaultOnBehalfOf: `${taint},${taint}`,
      timeout: -1,
      retry: { maxRetries: taint, max: 1 },
      pool: { connections: 0 },
      dispatcher: taint,
      onBehalfof: taint,
    } as unknown as MedplumModuleOptions;
    expect(() => resolveOptions(wrong, 'lab')).toThrow(MedplumConfigError);
    const message = messageOf(wrong, 'lab');
    expect(message).toContain('"lab"');
    expect(message).not.toContain(taint);
    const named = /^- (\w+) /gm;
    expect(new Set([...message.matchAll(named)].map(([, name]) => name))).toEqual(
      new Set([
        'baseUrl',
        'clientId',
        'clientSecret',
        'auth',
        'requireOnBehalfOf',
        'defaultOnBehalfOf',
        'timeout',
        'retry',
        'pool',
        'dispatcher',
        'onBehalfof',
      ]),
    );
    expect(message).toMatch(/retry is wrong: maxRetries must be .*; max is not an option/);
  });

  it.each([undefined, null, {}, 'options', 5, { clientId: undefined, clientSecret: undefined }])(
    'need an id and a secret: %j',
    (options) => {
      expect(problemsOf(options)).toEqual(['- clientId is missing', '- clientSecret is missing']);
    },
  );

  it.each<readonly [keyof MedplumModuleOptions, readonly unknown[]]>([
    ['baseUrl', ['', ' ', 5, null, {}, new URL('https://medplum.example/'), 'medplum.example']],
    [
      'publicUrl',
      ['', ' ', 5, null, {}, 'medplum.example', 'https://user:pw@medplum.example/', 'ftp://medplum.example/'],
    ],
    ['beforeRequest', ['hook', null, {}, true]],
    ['abortOnDisconnect', [1, 'true', null]],
    ['compression', [1, 'gzip', null]],
    ['batchReads', [1, 'true', null]],
    ['debugErrors', [0, 'yes', null]],
    ['logTag', ['', ' ', 'a'.repeat(129), 'a\nb', 'ü', 5, null]],
    ['clientId', ['', ' ', 'a:b', 'a b', 'a\n', 5, null]],
    ['clientSecret', ['', ' ', 5, null, {}, Promise.resolve('secret')]],
    ['auth', ['Basic', '', null, true]],
    ['requireOnBehalfOf', [0, 'false', null]],
    ['allowEmptyClear', [0, 'false', null]],
    ['extended', [1, 'true', null]],
    ['allowInsecureHttp', [1, 'true', null]],
    ['defaultOnBehalfOf', ['', null, undefined, 'Group/1', 'a,b', 5, 'ClientApplication/client-1', {}]],
    ['resolveOnBehalfOf', ['', 5, null, {}]],
    ['isAuthenticated', [true, null, 'user']],
    ['timeout', [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '30000', null]],
    ['connectTimeout', [0, -1, Number.NaN, 2 ** 31, '5000', null]],
    ['retry', [null, 3, [], [3], { maxRetries: -1 }, { maxRetries: 1.5 }, { minTimeout: 0 }, { maxTimeout: '1' }]],
    ['pool', [null, 3, [], { connections: 0 }, { connections: 1.5 }, { keepAliveTimeout: 0 }, { pipelining: 2 }]],
    ['dispatcher', [null, 'agent', {}, { request: true }, () => undefined]],
  ])('%s is checked', (key, wrong) => {
    for (const value of wrong) {
      const problems = problemsOf({ ...VALID, [key]: value });
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(new RegExp(`^- ${key}\\b`));
    }
  });

  it.each([
    ['onBehalfOf', ' \\(known: '],
    ['baseURL', '\\. Did you mean baseUrl\\?$'],
    ['name', ' that a factory can return\\. '],
    ['toString', ' \\(known: '],
    ['__proto__', ' \\(known: '],
  ])('have no key %s', (key, advice) => {
    const options = Object.defineProperty({ ...VALID }, key, { value: 'x', enumerable: true });
    expect(problemsOf(options)).toEqual([expect.stringMatching(new RegExp(`^- ${key} is not an option${advice}`))]);
  });

  it('take plain http for loopback, and elsewhere when that is accepted', () => {
    expect(problemsOf({ ...VALID, baseUrl: 'http://127.0.0.1:8103/' })).toEqual([]);
    expect(problemsOf({ ...VALID, baseUrl: 'http://medplum.internal/' })).toEqual([
      expect.stringMatching(/^- baseUrl must be https:\/\/ unless/),
    ]);
    expect(problemsOf({ ...VALID, baseUrl: 'http://medplum.internal/', allowInsecureHttp: false })).toHaveLength(1);
    expect(resolve({ baseUrl: 'http://medplum.internal/fhir-server', allowInsecureHttp: true }).baseUrl).toEqual({
      origin: 'http://medplum.internal',
      path: '/fhir-server/',
    });
  });

  it.each([
    ['https://medplum.example/fhir/R4', 'fhir/R4', 'Set it to https://medplum.example/'],
    ['https://medplum.example/fhir/R4/', 'fhir/R4', 'Set it to https://medplum.example/'],
    ['https://medplum.example/fhir/r4/Patient/taint', 'fhir/r4', 'Set it to https://medplum.example/'],
    ['https://medplum.example/fhir', 'fhir', 'Set it to https://medplum.example/'],
    ['https://medplum.example/api/fhir/R4', 'fhir/R4', 'Set it to https://medplum.example/'],
    ['http://127.0.0.1:8103/oauth2/token', 'oauth2', 'Set it to http://127.0.0.1:8103/'],
    ['https://medplum.example/auth/login', 'auth/login', 'Set it to https://medplum.example/'],
    ['https://medplum.example/healthcheck', 'healthcheck', 'Set it to https://medplum.example/'],
    ['https://medplum.example/.well-known/openid-configuration', '.well-known', 'Set it to https://medplum.example/'],
    [
      'https://medplum.example/projects/taint/fhir/R4/',
      'fhir/R4',
      'Remove /fhir/R4 and everything after it from the value',
    ],
  ])('have no address %s, whose end the library adds itself', (address, end, fix) => {
    for (const name of ['baseUrl', 'publicUrl']) {
      expect(problemsOf({ ...VALID, [name]: address })).toEqual([
        `- ${name} ends in ${end}, which the library adds itself, so every address would have it twice. ${fix}`,
      ]);
    }
  });

  it.each(['app.medplum.com', 'medplum.com', 'www.medplum.com'])('have no address of the web pages on %s', (host) => {
    expect(problemsOf({ ...VALID, baseUrl: `https://${host}/admin/project` })).toEqual([
      `- baseUrl names ${host}, which serves web pages and not the API. Set it to https://api.medplum.com/`,
    ]);
  });

  it.each([
    'https://medplum.example/projects/p1/',
    'https://medplum.example/fhir-server',
    'https://medplum.example/fhir/medplum/',
    'https://medplum.example/auth/medplum/',
    'https://app.medplum.example/',
  ])('may have the address %s', (address) => {
    expect(problemsOf({ ...VALID, baseUrl: address, publicUrl: address })).toEqual([]);
  });

  it('take a dispatcher or the size of a pool, not both', () => {
    const dispatcher = { request: () => Promise.reject(new Error('unused')) };
    expect(resolve({ dispatcher }).dispatcher).toBe(dispatcher);
    for (const more of [{ headersTimeout: 1000 }, { bodyTimeout: 1000 }]) {
      expect(problemsOf({ ...VALID, dispatcher, ...more })).toEqual([
        '- dispatcher excludes headersTimeout and bodyTimeout: set those on the dispatcher',
      ]);
    }
    for (const more of [{ pool: {} }, { connectTimeout: 1000 }, { pool: { connections: 1 }, connectTimeout: 1000 }]) {
      expect(problemsOf({ ...VALID, dispatcher, ...more })).toEqual([
        '- dispatcher excludes pool and connectTimeout: set those on the dispatcher',
      ]);
    }
  });

  it('take a secret as a function, and do not call it', () => {
    const clientSecret = jest.fn(() => 'secret');
    expect(resolve({ clientSecret }).clientSecret).toBe(clientSecret);
    expect(clientSecret).not.toHaveBeenCalled();
  });
});
