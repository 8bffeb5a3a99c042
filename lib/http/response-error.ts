import type { Extension, OperationOutcome } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { MedplumError, MedplumErrorDetails } from '../errors/medplum.error';
import { OnBehalfOfRejectedError } from '../errors/on-behalf-of.errors';
import {
  MedplumBadRequestError,
  MedplumConflictError,
  MedplumForbiddenError,
  MedplumGoneError,
  MedplumNotFoundError,
  MedplumNotModifiedError,
  MedplumPreconditionFailedError,
  MedplumProtocolError,
  MedplumRateLimitError,
  MedplumServerError,
  MedplumUnauthorizedError,
} from '../errors/response.errors';
import { objects } from '../shared/objects';
import { asRequestId } from './read-response';

/** The extension that Medplum adds to the OperationOutcomes of requests that got past the identity. */
const TRACING_EXTENSION = 'https://medplum.com/fhir/StructureDefinition/tracing';

/** `value` as an OperationOutcome, if it is one. */
export function asOperationOutcome(value: unknown): OperationOutcome | undefined {
  const outcome = value as OperationOutcome | null | undefined;
  return typeof outcome === 'object' && outcome?.resourceType === 'OperationOutcome' && Array.isArray(outcome.issue)
    ? outcome
    : undefined;
}

function tracingOf(outcome: OperationOutcome | undefined): Extension | undefined {
  return objects(outcome?.extension).find((extension) => extension.url === TRACING_EXTENSION);
}

/** The id under which the server logged the request: header `X-Request-Id` (newer servers) or the tracing extension. */
export function requestIdOf(header: string | undefined, outcome: OperationOutcome | undefined): string | undefined {
  return asRequestId(
    header ?? objects(tracingOf(outcome)?.extension).find((extension) => extension.url === 'requestId')?.valueId,
  );
}

/** Whether a 409 is a serialization failure of the database, which the server asks to repeat (SQLSTATE 40001). */
export function isSerializationConflict(outcome: OperationOutcome | undefined): boolean {
  return objects(outcome?.issue).some((issue) =>
    objects(issue.details?.coding).some((coding) => coding.code === '40001'),
  );
}

/** What tells where in the server a response was made. */
export interface ResponseOrigin {
  /** It has a `RateLimit` header. Medplum adds it to every response except those that refuse the identity. */
  readonly rateLimited: boolean;
  /** The FHIR operation that was called, with its `$`. */
  readonly operation?: string | undefined;
}

/**
 * Whether the server refused the identity, not the resource. Servers up to 5.0 use 403, 404, 410 and 400 for both. A
 * refused identity has neither a `RateLimit` header nor the tracing extension. Other responses may lack one of them: a
 * proxy drops the header, and bots and cancelled exports fail without the extension. Newer servers say "Authentication
 * error", but so may a bot.
 */
export function isIdentityRefusal(
  status: number,
  outcome: OperationOutcome | undefined,
  { rateLimited, operation }: ResponseOrigin,
): boolean {
  if (!outcome || ![400, 403, 404, 410].includes(status)) {
    return false;
  }
  const text: unknown = objects(outcome.issue)[0]?.details?.text;
  if (status === 400 && text === 'Authentication error' && !(rateLimited && operation === EXECUTE)) {
    return true;
  }
  if (rateLimited || tracingOf(outcome)) {
    return false;
  }
  // Where the header is missing, the texts of the identity are all that tells it from an exception of a bot.
  return status !== 400 || operation !== EXECUTE || (typeof text === 'string' && IDENTITY_TEXT.test(text));
}

/** The operation that runs a bot. */
const EXECUTE = '$execute';

/** How Medplum 5.0 begins the texts with which it refuses an identity with 400. */
const IDENTITY_TEXT = /^(?:Cannot authenticate|Invalid reference)/;

/**
 * Whether the server may have written before it refused the call. It runs the code of bots, which may write and then
 * throw: a 400. What the bot wrote stays.
 */
export function mayHaveRun(
  status: number | undefined,
  outcome: OperationOutcome | undefined,
  { rateLimited, operation }: ResponseOrigin,
): boolean {
  if (operation === undefined || status === undefined || status < 400 || status >= 500 || [401, 429].includes(status)) {
    return false;
  }
  // A bot may also implement another operation. Errors of the server itself have the tracing extension.
  return operation === EXECUTE ? status === 400 : rateLimited && outcome !== undefined && !tracingOf(outcome);
}

/** What is known about a response that is not a success. */
export interface ErrorResponse {
  readonly status: number;
  /** `GET /fhir/R4/Patient/{id}`. */
  readonly call: string;
  readonly outcome: OperationOutcome | undefined;
  /** Whether the response had no body. */
  readonly empty: boolean;
  /** Whether the request asked for the resource only if it has changed. */
  readonly conditional?: boolean;
  /** The server refused the identity, not what the request asks for. */
  readonly refusesIdentity: boolean;
  /** A bot may have written before it failed. */
  readonly mayHaveRun: boolean;
  readonly retryAfter: number | undefined;
}

/** The errors that are what the server answered to the call that rejects with them. */
const RESPONSES = new WeakSet<MedplumError>();

/** Notes whether `error` is what the server answered to the call that rejects with it. */
export function markResponse(error: MedplumError, isResponse: boolean): void {
  if (isResponse) {
    RESPONSES.add(error);
  } else {
    RESPONSES.delete(error);
  }
}

/**
 * Whether `error` is what the server answered to the call that rejected with it. The status of any other error may be
 * that of another response: of the token endpoint, or of the membership check.
 */
export function isResponseError(error: MedplumError): boolean {
  return RESPONSES.has(error);
}

/** The constructor of a typed error. */
export type ErrorClass = new (message: string, details?: MedplumErrorDetails) => MedplumError;

const BY_STATUS: Readonly<Record<number, readonly [ErrorClass, string]>> = {
  401: [
    MedplumUnauthorizedError,
    'The server does not accept the credentials of the client: check clientId and clientSecret.',
  ],
  403: [MedplumForbiddenError, 'The access policy of the identity does not grant this.'],
  404: [MedplumNotFoundError, 'There is no such resource, or the identity may not see it.'],
  409: [MedplumConflictError, 'It met a concurrent write or a duplicate.'],
  410: [MedplumGoneError, 'The resource was deleted.'],
  412: [
    MedplumPreconditionFailedError,
    'The resource has another version by now, or the condition matches several resources.',
  ],
};

/** The typed error for a response of 3xx, 4xx or 5xx. The library words it, because the server's text may quote values. */
export function responseError(response: ErrorResponse, details: MedplumErrorDetails): MedplumError {
  const { status, call, outcome } = response;
  const answered = `${call} was answered with ${status}.`;
  const given = { ...details, status, outcome };
  if (response.refusesIdentity) {
    return new OnBehalfOfRejectedError(
      `${answered} The server refused the identity itself: the membership must exist in the project of the client, and the client must be a project admin who can read the profile.`,
      given,
    );
  }
  if (status === 304 && response.conditional) {
    return new MedplumNotModifiedError(`${answered} What you have is up to date.`, given);
  }
  if (status < 400) {
    return new MedplumProtocolError(`${answered} Redirects are not followed: set baseUrl to the final address.`, given);
  }
  if (status === 429) {
    const wait = { ...given, retryable: true, retryAfter: response.retryAfter };
    return new MedplumRateLimitError(`${answered} The quota of the client, shared by all its users, is used up.`, wait);
  }
  if (status >= 500) {
    return new MedplumServerError(`${answered} The server or a proxy in front of it failed.`, given);
  }
  const [type, text] = BY_STATUS[status] ?? [];
  if (type === MedplumUnauthorizedError) {
    return new type(`${answered} ${text}`, given);
  }
  if (!outcome && !response.empty) {
    return new MedplumProtocolError(
      `${answered} The body is not an OperationOutcome. Check that baseUrl is the Medplum server.`,
      given,
    );
  }
  if (response.mayHaveRun) {
    const failed =
      'The bot failed, or the server found the request invalid; error.outcome says why. What the bot wrote before it failed stays.';
    return new (type ?? MedplumBadRequestError)(`${answered} ${failed}`, given);
  }
  return type
    ? new type(`${answered} ${text}`, given)
    : new MedplumBadRequestError(`${answered} The server found the request invalid; error.outcome says why.`, given);
}
