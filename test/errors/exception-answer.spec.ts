import {
  MedplumAbortError,
  MedplumBadRequestError,
  MedplumBeforeRequestError,
  MedplumConfigError,
  MedplumConflictError,
  MedplumConnectionError,
  MedplumContentTooLargeError,
  type MedplumError,
  MedplumForbiddenError,
  MedplumGoneError,
  MedplumGraphqlError,
  MedplumNotFoundError,
  MedplumNotModifiedError,
  MedplumOverloadError,
  MedplumPreconditionFailedError,
  MedplumProtocolError,
  MedplumRateLimitError,
  MedplumServerError,
  MedplumTimeoutError,
  MedplumTransactionError,
  MedplumUnauthorizedError,
  OnBehalfOfReferenceError,
  OnBehalfOfRejectedError,
  OnBehalfOfRequiredError,
  UnknownEffectError,
} from 'nestjs-medplum';
import { exceptionAnswer } from '../../lib/exceptions/exception-answer';

type Case = readonly [name: string, make: () => MedplumError, user: number, client: number];

const TEXT = 'taint';

const transaction = (status: string, effect: 'none' | 'happened') =>
  new MedplumTransactionError(TEXT, {
    effect,
    response: {
      resourceType: 'Bundle',
      type: 'batch-response',
      entry: [{ response: { status: '200' } }, { response: { status } }],
    },
  });

/** Errors, with the status for the user of the call, and the status when the call ran as the client. */
const CASES: readonly Case[] = [
  ['not found', () => new MedplumNotFoundError(TEXT, { status: 404 }), 404, 500],
  ['message of nobody', () => new OnBehalfOfRequiredError(TEXT, { status: 401 }), 401, 401],
  ['message of a user without membership', () => new OnBehalfOfRequiredError(TEXT, { status: 403 }), 403, 403],
  ['forbidden', () => new MedplumForbiddenError(TEXT, { status: 403 }), 403, 500],
  ['identity refused as 400', () => new OnBehalfOfRejectedError(TEXT, { status: 400 }), 403, 500],
  ['identity refused as 404', () => new OnBehalfOfRejectedError(TEXT, { status: 404 }), 403, 500],
  ['identity refused as 410', () => new OnBehalfOfRejectedError(TEXT, { status: 410 }), 403, 500],
  ['gone', () => new MedplumGoneError(TEXT, { status: 410 }), 410, 500],
  ['conflict', () => new MedplumConflictError(TEXT, { status: 409 }), 409, 500],
  ['not modified', () => new MedplumNotModifiedError(TEXT, { status: 304 }), 304, 500],
  ['a broken beforeRequest', () => new MedplumBeforeRequestError(TEXT), 500, 500],
  ['version conflict', () => new MedplumPreconditionFailedError(TEXT, { status: 412 }), 412, 500],
  ['invalid', () => new MedplumBadRequestError(TEXT, { status: 400 }), 400, 500],
  ['unprocessable', () => new MedplumBadRequestError(TEXT, { status: 422 }), 422, 500],
  ['invalid before it was sent', () => new MedplumBadRequestError(TEXT), 400, 500],
  ['quota', () => new MedplumRateLimitError(TEXT, { status: 429, retryAfter: 1500 }), 503, 503],
  ['overload', () => new MedplumOverloadError(TEXT, { retryAfter: 1500 }), 503, 503],
  ['server down', () => new MedplumServerError(TEXT, { status: 503 }), 502, 502],
  ['server failed', () => new MedplumServerError(TEXT, { status: 500 }), 502, 502],
  ['gateway timeout', () => new MedplumServerError(TEXT, { status: 504 }), 504, 504],
  ['connection', () => new MedplumConnectionError(TEXT), 502, 502],
  ['protocol', () => new MedplumProtocolError(TEXT, { status: 302 }), 502, 502],
  ['timeout', () => new MedplumTimeoutError(TEXT), 504, 504],
  ['abort', () => new MedplumAbortError(TEXT), 504, 504],
  ['bad credentials', () => new MedplumUnauthorizedError(TEXT, { status: 401 }), 500, 500],
  ['no identity', () => new OnBehalfOfRequiredError(TEXT), 500, 500],
  ['wrong identity', () => new OnBehalfOfReferenceError(TEXT), 500, 500],
  ['wrong configuration', () => new MedplumConfigError(TEXT), 500, 500],
  ['a GraphQL error', () => new MedplumGraphqlError(TEXT), 502, 502],
  ['a response that is too large', () => new MedplumContentTooLargeError(TEXT), 502, 502],
  ['a transaction with a missing entry', () => transaction('404', 'none'), 404, 500],
  ['a transaction with a failed entry of the server', () => transaction('500', 'none'), 502, 500],
  ['a transaction that wrote', () => transaction('404', 'happened'), 502, 500],
  ['unknown effect', () => new UnknownEffectError(TEXT, { status: 412 }), 500, 500],
];

/** Attaches a call to `error`: one for a user, or one as the client itself. */
function of(error: MedplumError, onBehalfOf: string | undefined, method = 'GET'): MedplumError {
  const [path, pathTemplate] = ['/fhir/R4/Patient/1', '/fhir/R4/Patient/{id}'];
  const identitySource = onBehalfOf ? 'scope' : 'client-application';
  error.attachRequest({ client: 'default', method, path, pathTemplate, onBehalfOf, identitySource });
  return error;
}

describe('The answer to the user for an error', () => {
  it.each(CASES)('%s: has the status of a call for the user', (_name, make, status) => {
    expect(exceptionAnswer(of(make(), 'ProjectMembership/1')).status).toBe(status);
  });

  it.each(CASES)(
    '%s: hides what only the client may see when the call ran as the client',
    (_name, make, _user, status) => {
      expect(exceptionAnswer(of(make(), undefined)).status).toBe(status);
    },
  );

  it.each(CASES)('%s: uses the texts of the library only', (_name, make) => {
    const answer = exceptionAnswer(of(make(), 'ProjectMembership/1'));
    expect(JSON.stringify(answer)).not.toContain(TEXT);
    expect(answer.error).toMatch(/^[A-Z]/);
    expect(answer.text).not.toBe('');
  });

  it('is 404 for a forbidden PATCH: 403 would reveal that the resource exists', () => {
    const forbidden = new MedplumForbiddenError(TEXT, { status: 403 });
    expect(exceptionAnswer(of(forbidden, 'ProjectMembership/1', 'PATCH')).status).toBe(404);
  });

  it('says when to try again if the quota is used up', () => {
    expect(exceptionAnswer(new MedplumRateLimitError(TEXT, { retryAfter: 1500 })).retryAfter).toBe(1500);
    expect(exceptionAnswer(new MedplumOverloadError(TEXT, { retryAfter: 1500 })).retryAfter).toBe(1500);
    expect(exceptionAnswer(new MedplumRateLimitError(TEXT)).retryAfter).toBeUndefined();
    expect(exceptionAnswer(new MedplumNotFoundError(TEXT)).retryAfter).toBeUndefined();
  });
});
