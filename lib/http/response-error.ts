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

/**
 * Whether the server refused the identity, not the resource. Servers up to 5.0 use 403, 404, 410 and 400 for both, and
 * leave the tracing extension out when they refuse the identity. Newer servers say "Authentication error".
 */
export function isIdentityRefusal(status: number, outcome: OperationOutcome | undefined): boolean {
  if (!outcome || ![400, 403, 404, 410].includes(status)) {
    return false;
  }
  const saysSo = status === 400 && objects(outcome.issue)[0]?.details?.text === 'Authentication error';
  return saysSo || !tracingOf(outcome);
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
  readonly onBehalfOf: boolean;
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
  if (response.onBehalfOf && isIdentityRefusal(status, outcome)) {
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
  return type
    ? new type(`${answered} ${text}`, given)
    : new MedplumBadRequestError(`${answered} The server found the request invalid; error.outcome says why.`, given);
}
