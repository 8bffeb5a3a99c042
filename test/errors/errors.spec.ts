import { inspect } from 'node:util';
import * as library from 'nestjs-medplum';
import {
  isMedplumError,
  MedplumBadRequestError,
  MedplumConfigError,
  MedplumError,
  type MedplumErrorDetails,
  MedplumNotFoundError,
  MedplumRateLimitError,
  OnBehalfOfReferenceError,
  OnBehalfOfRequiredError,
  UnknownEffectError,
} from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { FAULTS } from '../support/wire-faults';
import { outcome, type WireHandler } from '../support/wire-server';

type ErrorClass = new (message: string, details?: MedplumErrorDetails) => MedplumError;

/** Every error class that the package exports, the base aside. */
const CLASSES = (Object.entries(library) as [string, unknown][]).filter(
  (entry): entry is [string, ErrorClass] =>
    typeof entry[1] === 'function' && entry[1].prototype instanceof Error && entry[0] !== 'MedplumError',
);

/** Everything that a log, a tracker or a careless handler may show of an error. */
function shown(error: unknown): string {
  const { message, stack = '', cause } = error as Error;
  return [
    message,
    stack,
    String(error),
    JSON.stringify(error),
    JSON.stringify(Object.entries(error as object)),
    JSON.stringify({ ...(error as object) }),
    JSON.stringify(cause),
    inspect(error, { depth: Infinity, showHidden: false }),
    inspect(cause, { depth: Infinity, showHidden: true }),
    inspect(structuredClone(error), { depth: Infinity }),
  ].join('\n');
}

describe('Every error class', () => {
  it('is there', () => {
    expect(CLASSES.map(([name]) => name)).toEqual(
      expect.arrayContaining([
        'MedplumConfigError',
        'OnBehalfOfRequiredError',
        'OnBehalfOfReferenceError',
        'OnBehalfOfRejectedError',
        'MedplumBadRequestError',
        'MedplumUnauthorizedError',
        'MedplumForbiddenError',
        'MedplumNotFoundError',
        'MedplumConflictError',
        'MedplumGoneError',
        'MedplumPreconditionFailedError',
        'MedplumRateLimitError',
        'MedplumServerError',
        'MedplumTimeoutError',
        'MedplumAbortError',
        'MedplumConnectionError',
        'MedplumProtocolError',
        'UnknownEffectError',
      ]),
    );
  });

  it('has a code of its own', () => {
    const codes = CLASSES.map(([, type]) => new type('text').code);
    expect(new Set(codes).size).toBe(codes.length);
    for (const code of codes) {
      expect(code).toMatch(/^MEDPLUM_[A-Z_]+$/);
    }
  });

  it.each(CLASSES)('%s: is an Error of its class, and of the base', (name, type) => {
    const error = new type('Some text.');
    expect(error).toBeInstanceOf(Error);
    expect(error).toBeInstanceOf(MedplumError);
    expect(error).toBeInstanceOf(type);
    expect(isMedplumError(error)).toBe(true);
    expect(error.name).toBe(name);
    expect(String(error)).toBe(`${name}: Some text.`);
    for (const [other, otherType] of CLASSES) {
      expect(error instanceof otherType).toBe(other === name);
    }
  });

  it.each(CLASSES)('%s: shows nothing of the outcome, the request and the cause', (_name, type) => {
    const cause = Object.assign(new Error('taint message'), {
      code: 'ECONNRESET',
      body: 'taint body',
      cause: new Error('taint deep'),
    });
    const error = new type('Some text.', {
      status: 400,
      outcome: {
        resourceType: 'OperationOutcome',
        issue: [{ severity: 'error', code: 'invalid', diagnostics: 'taint', details: { text: 'taint' } }],
      },
      cause,
    });
    error.attachRequestId('taint-id-that-only-the-getter-gives');
    error.attachRequest({
      client: 'default',
      method: 'GET',
      path: '/fhir/R4/Patient/taint',
      pathTemplate: '/fhir/R4/Patient/{id}',
      onBehalfOf: 'ProjectMembership/taint',
      identitySource: 'call',
    });
    expect(shown(error)).not.toContain('taint');
    // What is needed to act on it stands behind getters.
    expect(error.request?.onBehalfOf).toBe('ProjectMembership/taint');
    expect(Object.isFrozen(error.request)).toBe(true);
  });

  it.each(CLASSES)('%s: writes itself as JSON by name, code and effect', (name, type) => {
    const error = new type('Some text.');
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name,
      code: error.code,
      message: 'Some text.',
      effect: error.effect,
      retryable: error.retryable,
    });
  });
});

describe('The cause of an error', () => {
  it('is kept as name and code', () => {
    const cause = Object.assign(new TypeError('taint'), { code: 'UND_ERR_SOCKET' });
    expect(new MedplumBadRequestError('Some text.', { cause }).cause).toEqual({
      name: 'TypeError',
      code: 'UND_ERR_SOCKET',
    });
  });

  it.each<readonly [string, unknown]>([
    ['text', 'taint'],
    ['an object', { name: 'taint Patient/1', code: 'taint Patient/1', message: 'taint' }],
    [
      'an error with texts for a name and a code',
      Object.assign(new Error('taint'), { name: 'taint!', code: 'taint/1' }),
    ],
    ['a list', ['taint']],
    [
      'an object that cannot be asked',
      {
        get name() {
          return { toString: () => 'taint' };
        },
      },
    ],
  ])('shows nothing of %s', (_what, cause) => {
    expect(shown(new MedplumBadRequestError('Some text.', { cause }))).not.toContain('taint');
  });

  it.each([undefined, null])('is absent when it is %p', (cause) => {
    expect('cause' in new MedplumBadRequestError('Some text.', { cause })).toBe(false);
  });
});

describe('An error', () => {
  it('did nothing and is final, unless it says otherwise', () => {
    expect(new MedplumNotFoundError('Some text.')).toMatchObject({ effect: 'none', retryable: false });
    expect(new UnknownEffectError('Some text.', { status: 412 })).toMatchObject({ effect: 'unknown', status: 412 });
  });

  it('tells how long to wait', () => {
    expect(new MedplumRateLimitError('Some text.', { retryAfter: 60_000 }).retryAfter).toBe(60_000);
    expect(new MedplumRateLimitError('Some text.').retryAfter).toBeUndefined();
  });

  it('keeps the first request and the first id that it was given', () => {
    const error = new MedplumNotFoundError('Some text.');
    error.attachRequestId(undefined);
    error.attachRequestId('1');
    error.attachRequestId('2');
    expect(error.requestId).toBe('1');
  });
});

describe('An error of another copy of the package', () => {
  let other: typeof library | undefined;

  beforeAll(() => {
    jest.isolateModules(() => {
      other = jest.requireActual<typeof library>('nestjs-medplum');
    });
  });

  it('is known by its brand, and by the base class', () => {
    expect(other?.MedplumNotFoundError).not.toBe(MedplumNotFoundError);
    const error: unknown = other && new other.MedplumNotFoundError('Some text.');
    expect(isMedplumError(error)).toBe(true);
    expect(error instanceof MedplumError).toBe(true);
    expect(error).toMatchObject({ code: 'MEDPLUM_NOT_FOUND' });
  });

  it('is not of our subclasses, whose private parts it lacks', () => {
    const error: unknown = other && new other.MedplumNotFoundError('Some text.');
    expect(error instanceof MedplumNotFoundError).toBe(false);
    expect(error instanceof MedplumConfigError).toBe(false);
  });

  it.each([undefined, null, 'MedplumError', {}, new Error('x'), { name: 'MedplumError', code: 'MEDPLUM_NOT_FOUND' }])(
    'is not %p',
    (value) => {
      expect(isMedplumError(value)).toBe(false);
      expect(value instanceof MedplumError).toBe(false);
    },
  );
});

/** What no error may show. */
const SECRETS = ['taint', Buffer.from('taint-client:taint-secret').toString('base64')];
/** An answer whose every text is the server's. */
const answer =
  (status: number, tracing = true): WireHandler =>
  () => ({
    status,
    headers: { 'x-request-id': 'taint of the server', location: 'https://taint.example/' },
    body: outcome('taint', 'taint', 'taint', tracing),
  });

describe('An error of a call', () => {
  let app: MedplumApp;
  const TAINTED = { onBehalfOf: 'taint-membership', headers: { 'x-trace-id': 'taint-header' } };

  beforeAll(
    async () =>
      (app = await startMedplumApp({
        clientId: 'taint-client',
        clientSecret: 'taint-secret',
        retry: { maxRetries: 0 },
        timeout: 400,
      })),
  );
  afterAll(() => app.close());

  it.each<readonly [string, WireHandler]>([
    ...[301, 400, 401, 403, 404, 409, 410, 412, 422, 429, 500, 502, 503, 504].flatMap((status) => [
      [`answered with ${status}`, answer(status)] as const,
      [`answered with ${status} at the identity`, answer(status, false)] as const,
    ]),
    ['whose connection breaks', FAULTS['reset before headers']],
    ['whose answer is cut off', FAULTS['truncated body']],
    ['that is not answered', FAULTS.hang],
    ['answered with no JSON', () => ({ body: '{"name": "taint", ' })],
    ['answered with text', () => ({ status: 404, body: 'taint' })],
  ])('%s carries no id, value, identity, secret or text of the server', async (_case, handler) => {
    app.wire.handler = handler;
    const { medplum } = app;
    const calls = [
      medplum.readResource('Patient', 'taint-id', TAINTED),
      medplum.searchResources('Patient', { name: 'taint-value' }, TAINTED),
      medplum.updateResource(
        { resourceType: 'Patient', id: 'taint-id', meta: { versionId: 'taint' }, name: [{ family: 'taint' }] },
        TAINTED,
      ),
      medplum.createResourceIfNoneExist({ resourceType: 'Patient' }, { name: 'taint-value' }, TAINTED),
    ];
    for (const result of await Promise.allSettled(calls)) {
      const error: unknown = result.status === 'rejected' ? result.reason : undefined;
      expect(isMedplumError(error)).toBe(true);
      for (const secret of SECRETS) {
        expect(shown(error)).not.toContain(secret);
      }
    }
  });

  it('that is refused before it is sent carries none either', async () => {
    const { medplum } = app;
    const cyclic: Record<string, unknown> = { resourceType: 'Patient', id: 'taint' };
    cyclic['taint'] = cyclic;
    const refused = [
      medplum.readResource('Patient', 'taint/../taint', { onBehalfOf: 'a' }),
      medplum.readResource('taint taint' as 'Patient', '1', { onBehalfOf: 'a' }),
      medplum.readResource('Patient', '1', { onBehalfOf: 'taint,taint' }),
      medplum.readResource('Patient', '1', { onBehalfOf: 'ClientApplication/taint-client' }),
      medplum.readResource('Patient', '1', { onBehalfOf: { reference: 'Group/taint' } }),
      medplum.readResource('Patient', 'taint'),
      medplum.readResource('Patient', '1', { onBehalfOf: 'a', headers: { 'x-trace-id': 'taint\r\ntaint' } }),
      medplum.readResource('Patient', '1', { onBehalfOf: 'a', headers: { 'taint taint': 'x' } }),
      medplum.search('Patient', { 'taint taint': 'x' } as never, { onBehalfOf: 'a' }),
      medplum.search('Patient', { name: { taint: 'taint' } as never }, { onBehalfOf: 'a' }),
      medplum.updateResource(
        { resourceType: 'Patient', id: '1', meta: { versionId: 'taint taint' } },
        { onBehalfOf: 'a' },
      ),
      medplum.updateResource({ resourceType: 'Patient', id: '1' }, { onBehalfOf: 'a', ifMatch: 'taint taint' }),
      medplum.createResource(cyclic as never, { onBehalfOf: 'a' }),
      medplum.createResource(
        {
          resourceType: 'Patient',
          toJSON: () => {
            throw new Error('taint');
          },
        } as never,
        { onBehalfOf: 'a' },
      ),
    ];
    const before = app.wire.requests.length;
    for (const result of await Promise.allSettled(refused)) {
      const error: unknown = result.status === 'rejected' ? result.reason : undefined;
      expect(isMedplumError(error)).toBe(true);
      // The stack names this file and its functions, not values.
      expect(shown(error)).not.toContain('taint');
    }
    expect(app.wire.requests).toHaveLength(before);
  });

  it('and of a scope carries none', () => {
    const { medplum } = app;
    for (const wrong of [
      'taint,taint',
      'Group/taint',
      '',
      { reference: 'taint' },
      { resourceType: 'taint', id: 'taint' },
    ]) {
      let error: unknown;
      try {
        medplum.onBehalfOf(wrong, () => undefined);
      } catch (reason) {
        error = reason;
      }
      expect(error).toBeInstanceOf(OnBehalfOfReferenceError);
      expect(shown(error)).not.toContain('taint');
    }
    expect(() => medplum.bind(() => undefined)).toThrow(OnBehalfOfRequiredError);
  });
});
