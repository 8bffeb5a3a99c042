import {
  MedplumBadRequestError,
  MedplumConflictError,
  MedplumError,
  MedplumForbiddenError,
  MedplumGoneError,
  MedplumNotFoundError,
  MedplumPreconditionFailedError,
  MedplumProtocolError,
  MedplumRateLimitError,
  MedplumServerError,
  type MedplumService,
  MedplumUnauthorizedError,
  OnBehalfOfRejectedError,
} from 'nestjs-medplum';
import { failureOf } from '../support/failure-of';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { outcome, type WireAnswer } from '../support/wire-server';

let app: MedplumApp;

beforeAll(async () => (app = await startMedplumApp({ retry: { maxRetries: 0 } })));
afterAll(() => app.close());

/** The error of a read that is answered so, as a user or as the client itself. */
async function errorOf(answer: WireAnswer, onBehalfOf: string): Promise<MedplumError> {
  app.wire.handler = () => answer;
  const error: unknown = await app.medplum
    .readResource('Patient', '1', { onBehalfOf })
    .catch((reason: unknown) => reason);
  if (!(error instanceof MedplumError)) {
    throw new Error('The call did not fail as it should.', { cause: error });
  }
  return error;
}

/** Statuses, and the classes of the errors of resources. Those of the identity are the same in four of them. */
const CLASSES = [
  [301, MedplumProtocolError],
  [302, MedplumProtocolError],
  [303, MedplumProtocolError],
  [304, MedplumProtocolError],
  [307, MedplumProtocolError],
  [308, MedplumProtocolError],
  [400, MedplumBadRequestError],
  [401, MedplumUnauthorizedError],
  [403, MedplumForbiddenError],
  [404, MedplumNotFoundError],
  [405, MedplumBadRequestError],
  [409, MedplumConflictError],
  [410, MedplumGoneError],
  [412, MedplumPreconditionFailedError],
  [413, MedplumBadRequestError],
  [415, MedplumBadRequestError],
  [422, MedplumBadRequestError],
  [429, MedplumRateLimitError],
  [431, MedplumBadRequestError],
  [500, MedplumServerError],
  [501, MedplumServerError],
  [502, MedplumServerError],
  [503, MedplumServerError],
  [504, MedplumServerError],
] as const;
/** Medplum refuses an identity with these, and leaves the tracing extension out then. */
const OF_THE_IDENTITY: readonly number[] = [400, 403, 404, 410];

describe.each(CLASSES)('An answer of %d', (status, ofTheResource) => {
  it.each([
    ['with tracing, for a user', true, 'm-1', ofTheResource],
    [
      'without tracing, for a user',
      false,
      'm-1',
      OF_THE_IDENTITY.includes(status) ? OnBehalfOfRejectedError : ofTheResource,
    ],
    ['with tracing, for the client', true, '', ofTheResource],
    ['without tracing, for the client', false, '', ofTheResource],
  ] as const)('%s', async (_case, tracing, onBehalfOf, expected) => {
    const error = await errorOf({ status, body: outcome('some-id', 'some-code', 'Some text', tracing) }, onBehalfOf);
    expect(error.name).toBe(expected.name);
    expect(error).toBeInstanceOf(expected);
    expect(error).toMatchObject({ status, effect: 'none' });
    // Node sends no body with 304.
    expect(error.outcome?.issue[0]?.details?.text).toBe(status === 304 ? undefined : 'Some text');
    expect(error.request).toMatchObject({ onBehalfOf: onBehalfOf ? 'ProjectMembership/m-1' : undefined });
  });
});

/** What Medplum adds to every response, except to those that refuse the identity. */
const RATE_LIMIT = { ratelimit: '"requests";r=59941;t=2, "fhirInteractions";r=48479;t=3' };

describe('With a RateLimit header, an answer of', () => {
  it.each(CLASSES.filter(([status]) => OF_THE_IDENTITY.includes(status)))(
    '%d is about the resource, even without tracing',
    async (status, expected) => {
      const body = outcome('some-id', 'some-code', 'Some text', false);
      const error = await errorOf({ status, body, headers: RATE_LIMIT }, 'm-1');
      expect(error.name).toBe(expected.name);
    },
  );
});

/** The error of a call by a user that is answered so. */
async function failure(answer: WireAnswer, call: (medplum: MedplumService) => Promise<unknown>): Promise<MedplumError> {
  app.wire.handler = () => answer;
  return failureOf(call(app.medplum.actingAs('m-1')));
}

const thrown = (text: string, tracing = false, id = 'x') => ({
  status: 400,
  body: outcome(id, 'invalid', text, tracing),
});

describe('A bot', () => {
  it.each<readonly [string, (medplum: MedplumService) => Promise<unknown>]>([
    ['executeBot()', (m) => m.executeBot('b1', {})],
    ['execute()', (m) => m.operations.execute({ operation: 'execute', resourceType: 'Bot', id: 'b1' })],
    ['post()', (m) => m.post('fhir/R4/Bot/b1/$execute', {})],
  ])('that throws fails %s with an unknown effect, and says nothing about the identity', async (_name, call) => {
    const answers: WireAnswer[] = [
      // What a bot throws has no tracing, unless it passes on an outcome that the server gave it.
      { ...thrown('boom'), headers: RATE_LIMIT },
      { ...thrown('Not found', true), headers: RATE_LIMIT },
      { ...thrown('Authentication error'), headers: RATE_LIMIT },
      // A proxy may drop the header.
      thrown('boom'),
    ];
    for (const answer of answers) {
      const error = await failure(answer, call);
      expect(error).toBeInstanceOf(MedplumBadRequestError);
      expect(error).toMatchObject({ status: 400, effect: 'unknown', retryable: false });
    }
  });

  it.each<readonly [WireAnswer, string]>([
    [{ status: 403, body: outcome('forbidden', 'forbidden', 'Forbidden', false) }, 'MEDPLUM_ON_BEHALF_OF_REJECTED'],
    [thrown('Authentication error'), 'MEDPLUM_ON_BEHALF_OF_REJECTED'],
    [thrown('Cannot authenticate: Invalid access policy configuration'), 'MEDPLUM_ON_BEHALF_OF_REJECTED'],
    [{ status: 404, body: outcome('not-found', 'not-found', 'Not found'), headers: RATE_LIMIT }, 'MEDPLUM_NOT_FOUND'],
    [{ status: 403, body: outcome('forbidden', 'forbidden', 'Forbidden'), headers: RATE_LIMIT }, 'MEDPLUM_FORBIDDEN'],
    [{ status: 401, body: outcome('unauthorized', 'login', 'x'), headers: RATE_LIMIT }, 'MEDPLUM_UNAUTHORIZED'],
    [{ status: 429, body: outcome('too-many-requests', 'throttled', 'x'), headers: RATE_LIMIT }, 'MEDPLUM_RATE_LIMIT'],
  ])('that was not run has no effect: %j', async (answer, code) => {
    expect(await failure(answer, (m) => m.executeBot('b1', {}))).toMatchObject({ code, effect: 'none' });
  });

  it('that implements another operation may have written as well; one that only reads has not', async () => {
    const answer = { ...thrown('boom'), headers: RATE_LIMIT };
    const call = { operation: 'my-op', input: {} };
    expect(await failure(answer, (m) => m.operations.execute(call))).toMatchObject({ effect: 'unknown' });
    expect(await failure(answer, (m) => m.operations.execute({ ...call, readOnly: true }))).toMatchObject({
      effect: 'none',
    });
    const refused = { ...thrown('Unknown parameter', true), headers: RATE_LIMIT };
    expect(await failure(refused, (m) => m.operations.execute(call))).toMatchObject({ effect: 'none' });
  });
});

it('An export that its user has cancelled is not found; the identity is not refused', async () => {
  const body = outcome('not-found', 'not-found', 'Not found', false);
  const answer = { status: 404, headers: { ...RATE_LIMIT, 'content-type': 'application/json' }, body };
  expect(await failure(answer, (m) => m.get('fhir/R4/bulkdata/export/e1'))).toBeInstanceOf(MedplumNotFoundError);
});

/** How newer servers refuse an identity. */
const refused = (tracing: boolean) => ({
  status: 400,
  body: outcome('invalid', 'invalid', 'Authentication error', tracing),
});

describe('Answers of newer servers', () => {
  it('refuse an identity with 400 "Authentication error", traced or not', async () => {
    await expect(errorOf(refused(true), 'm-1')).resolves.toBeInstanceOf(OnBehalfOfRejectedError);
    await expect(errorOf(refused(false), 'm-1')).resolves.toBeInstanceOf(OnBehalfOfRejectedError);
  });

  it('are about the request when it carried no identity', async () => {
    await expect(errorOf(refused(true), '')).resolves.toBeInstanceOf(MedplumBadRequestError);
  });

  it('tell the id of the request in a header', async () => {
    const { body } = refused(true);
    const answer = { status: 500, body, headers: { 'x-request-id': '7d7f-1' } };
    await expect(errorOf(answer, 'm-1')).resolves.toMatchObject({ requestId: '7d7f-1' });
  });
});

describe('The id of a request', () => {
  it('is read from the tracing extension', async () => {
    const answer = { status: 404, body: outcome('not-found', 'not-found', 'Not found') };
    await expect(errorOf(answer, 'm-1')).resolves.toMatchObject({ requestId: '00000000-0000-4000-8000-000000000001' });
  });

  it.each([
    ['of other letters', 'Patient/1 Homer Simpson'],
    ['of any length', 'a'.repeat(200)],
  ])('is not text %s', async (_text, id) => {
    const answer = { status: 500, headers: { 'x-request-id': id } };
    await expect(errorOf(answer, 'm-1')).resolves.toMatchObject({ requestId: undefined });
  });
});

describe('An answer without an OperationOutcome,', () => {
  const BODIES = {
    'an HTML page': { headers: { 'content-type': 'text/html' }, body: '<!DOCTYPE html><pre>Cannot GET</pre>' },
    'other JSON': { body: { msg: 'Internal Server Error' } },
    'no body': {},
  };

  it.each([
    // The page of a server that is not Medplum, or of a path beside it, says nothing about the resource.
    [400, 'an HTML page', MedplumProtocolError],
    [403, 'an HTML page', MedplumProtocolError],
    [404, 'an HTML page', MedplumProtocolError],
    [410, 'an HTML page', MedplumProtocolError],
    [412, 'an HTML page', MedplumProtocolError],
    [418, 'an HTML page', MedplumProtocolError],
    [401, 'an HTML page', MedplumUnauthorizedError],
    [429, 'an HTML page', MedplumRateLimitError],
    [500, 'other JSON', MedplumServerError],
    [502, 'an HTML page', MedplumServerError],
    // Prefer: return=minimal empties errors of the resource, never those of the identity; 431 is always empty.
    [400, 'no body', MedplumBadRequestError],
    [403, 'no body', MedplumForbiddenError],
    [404, 'no body', MedplumNotFoundError],
    [412, 'no body', MedplumPreconditionFailedError],
    [431, 'no body', MedplumBadRequestError],
  ] as const)('but %d with %s is a %p', async (status, content, expected) => {
    const error = await errorOf({ status, ...BODIES[content] }, 'm-1');
    expect(error).toBeInstanceOf(expected);
    expect(error.outcome).toBeUndefined();
  });

  it.each([
    { resourceType: 'OperationOutcome' },
    { resourceType: 'OperationOutcome', issue: 'none' },
    { resourceType: 'Patient', issue: [] },
    [],
    'OperationOutcome',
    null,
    5,
  ])('is one whose body is %j', async (body) => {
    const error = await errorOf({ status: 404, body: JSON.stringify(body) }, 'm-1');
    expect(error).toBeInstanceOf(MedplumProtocolError);
  });
});

describe('A malformed OperationOutcome', () => {
  it.each([
    { issue: [null] },
    { issue: [5, 'x'] },
    { issue: [{ details: 5 }] },
    { issue: [{ details: { coding: {} } }] },
    { issue: [{ details: { coding: [null] } }] },
    { issue: [{ diagnostics: { toString: 1 } }] },
    { issue: [{ extension: {} }] },
    { issue: [{}], extension: {} },
    { issue: [{}], extension: [null] },
    { issue: [{}], extension: [{ url: 'https://medplum.com/fhir/StructureDefinition/tracing', extension: 5 }] },
  ])('%j still makes a typed error and one event', async (content) => {
    for (const status of [400, 409, 429, 503]) {
      const before = app.events.length;
      const error = await errorOf({ status, body: { resourceType: 'OperationOutcome', ...content } }, 'm-1');
      expect(error.status).toBe(status);
      expect(app.events.slice(before)).toHaveLength(1);
    }
  });
});
