import * as library from 'nestjs-medplum';
import {
  isMedplumError,
  MedplumBadRequestError,
  MedplumConfigError,
  MedplumError,
  type MedplumErrorDetails,
  MedplumNotFoundError,
  MedplumRateLimitError,
  UnknownEffectError,
} from 'nestjs-medplum';
import { leaksOf, PLANTED, taintedError } from '../support/planted';

type ErrorClass = new (message: string, details?: MedplumErrorDetails) => MedplumError;

/** Every error class that the package exports, except the base class. */
const CLASSES = (Object.entries(library) as [string, unknown][]).filter(
  (entry): entry is [string, ErrorClass] =>
    typeof entry[1] === 'function' &&
    Object.prototype.isPrototypeOf.call(MedplumError.prototype, entry[1].prototype as object),
);

describe('Every error class', () => {
  it('is exported', () => {
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

  it('has its own code', () => {
    const codes = CLASSES.map(([, type]) => new type('text').code);
    expect(new Set(codes).size).toBe(codes.length);
    for (const code of codes) {
      expect(code).toMatch(/^MEDPLUM_[A-Z_]+$/);
    }
  });

  it.each(CLASSES)('%s is an instance of its own class and of the base class only', (name, type) => {
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

  it.each(CLASSES)('%s shows nothing of the outcome, the request or the cause', (_name, type) => {
    const error = new type('Some text.', {
      status: 400,
      outcome: {
        resourceType: 'OperationOutcome',
        issue: [{ severity: 'error', code: 'invalid', diagnostics: PLANTED.server, details: { text: PLANTED.server } }],
      },
      cause: taintedError(),
    });
    error.attachRequest({
      client: 'default',
      method: 'GET',
      path: `/fhir/R4/Patient/${PLANTED.record}`,
      pathTemplate: '/fhir/R4/Patient/{id}',
      onBehalfOf: `ProjectMembership/${PLANTED.membership}`,
      identitySource: 'call',
    });
    expect(leaksOf(error)).toEqual([]);
    // Only getters return what a caller needs to act on the error.
    expect(error.request?.onBehalfOf).toBe(`ProjectMembership/${PLANTED.membership}`);
    expect(Object.isFrozen(error.request)).toBe(true);
  });

  it.each(CLASSES)('%s serialises to JSON with its name, code, message and effect', (name, type) => {
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
  it('keeps its name and code only', () => {
    const cause = Object.assign(new TypeError('taint'), { code: 'UND_ERR_SOCKET' });
    expect(new MedplumBadRequestError('Some text.', { cause }).cause).toEqual({
      name: 'TypeError',
      code: 'UND_ERR_SOCKET',
    });
  });

  it.each<readonly [string, unknown]>([
    ['text', PLANTED.thrown],
    ['an object', { name: `${PLANTED.record}!`, code: `${PLANTED.record} 1`, message: PLANTED.thrown }],
    ['an error with sentences as its name and code', taintedError()],
    ['a list', [PLANTED.thrown]],
    ['an object whose name is an object', { name: { toString: () => PLANTED.thrown } }],
    [
      'an object whose getter throws',
      {
        get name(): string {
          throw taintedError();
        },
      },
    ],
  ])('shows nothing of %s', (_what, cause) => {
    expect(leaksOf(new MedplumBadRequestError('Some text.', { cause }))).toEqual([]);
  });

  it.each([undefined, null])('is absent for %p', (cause) => {
    expect('cause' in new MedplumBadRequestError('Some text.', { cause })).toBe(false);
  });
});

describe('An error', () => {
  it('has no effect and is not retryable by default', () => {
    expect(new MedplumNotFoundError('Some text.')).toMatchObject({ effect: 'none', retryable: false });
    expect(new UnknownEffectError('Some text.', { status: 412 })).toMatchObject({ effect: 'unknown', status: 412 });
  });

  it('says how long to wait, if the server did', () => {
    expect(new MedplumRateLimitError('Some text.', { retryAfter: 60_000 }).retryAfter).toBe(60_000);
    expect(new MedplumRateLimitError('Some text.').retryAfter).toBeUndefined();
  });

  it('keeps the first request id that it gets', () => {
    const error = new MedplumNotFoundError('Some text.');
    error.attachRequestId(undefined);
    error.attachRequestId('1');
    error.attachRequestId('2');
    expect(error.requestId).toBe('1');
  });
});

describe('An error from another copy of the package', () => {
  let other: typeof library | undefined;

  beforeAll(() => {
    jest.isolateModules(() => {
      other = jest.requireActual<typeof library>('nestjs-medplum');
    });
  });

  it('is recognised by its brand and by the base class', () => {
    expect(other?.MedplumNotFoundError).not.toBe(MedplumNotFoundError);
    const error: unknown = other && new other.MedplumNotFoundError('Some text.');
    expect(isMedplumError(error)).toBe(true);
    expect(error instanceof MedplumError).toBe(true);
    expect(error).toMatchObject({ code: 'MEDPLUM_NOT_FOUND' });
  });

  it('is not an instance of our subclasses, because it lacks their private fields', () => {
    const error: unknown = other && new other.MedplumNotFoundError('Some text.');
    expect(error instanceof MedplumNotFoundError).toBe(false);
    expect(error instanceof MedplumConfigError).toBe(false);
  });

  it.each([undefined, null, 'MedplumError', {}, new Error('x'), { name: 'MedplumError', code: 'MEDPLUM_NOT_FOUND' }])(
    'is not mistaken for %p',
    (value) => {
      expect(isMedplumError(value)).toBe(false);
      expect(value instanceof MedplumError).toBe(false);
    },
  );
});
