import { STATUS_CODES } from 'node:http';
import { AuditSinkError } from '../errors/audit-sink.error';
import { MedplumBeforeRequestError } from '../errors/before-request.error';
import { DelegationError } from '../errors/delegation.error';
import { MedplumConfigError } from '../errors/medplum-config.error';
import { MedplumGraphqlError } from '../errors/graphql.error';
import type { MedplumError } from '../errors/medplum.error';
import {
  OnBehalfOfReferenceError,
  OnBehalfOfRejectedError,
  OnBehalfOfRequiredError,
} from '../errors/on-behalf-of.errors';
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
  UnknownEffectError,
} from '../errors/response.errors';
import { MedplumOverloadError } from '../errors/overload.error';
import { MedplumTransactionError } from '../errors/transaction.error';
import {
  MedplumAbortError,
  MedplumConnectionError,
  MedplumContentTooLargeError,
  MedplumTimeoutError,
  MedplumTlsError,
} from '../errors/transport.errors';

/** What your app tells its client about a {@link MedplumError}. */
export interface MedplumExceptionAnswer {
  /** HTTP status. */
  readonly status: number;
  /** Name of the status, as in Nest's bodies. */
  readonly error: string;
  /** The message. It says nothing about records. */
  readonly text: string;
  /** FHIR IssueType (R4), for an OperationOutcome. */
  readonly issue: string;
  /** The value of `Retry-After`, in ms. */
  readonly retryAfter?: number | undefined;
}

const ANSWERS = {
  304: ['The resource has not changed.', 'informational'],
  400: ['The request is invalid.', 'invalid'],
  401: ['You are not logged in.', 'login'],
  403: ['You may not do this.', 'forbidden'],
  404: ['There is no such resource.', 'not-found'],
  409: ['The resource was changed or created by somebody else at the same time.', 'conflict'],
  410: ['The resource was deleted.', 'deleted'],
  412: ['The resource has changed since you read it.', 'conflict'],
  413: ['The content is too large.', 'too-long'],
  422: ['The resource is invalid.', 'invalid'],
  500: ['Internal server error', 'exception'],
  502: ['The FHIR server cannot be reached.', 'transient'],
  503: ['Too many requests to the FHIR server. Try again later.', 'throttled'],
  504: ['The FHIR server did not answer in time.', 'timeout'],
} as const;

type Status = keyof typeof ANSWERS;

/** Errors on the side of the app. The user cannot do anything about them, so the response says nothing about them. */
const OURS = [
  AuditSinkError,
  MedplumBeforeRequestError,
  OnBehalfOfRequiredError,
  OnBehalfOfReferenceError,
  MedplumConfigError,
  MedplumUnauthorizedError,
  UnknownEffectError,
] as const;

/** Reasons that do not lie in the token which somebody sent. */
const OURS_OF_DELEGATION: ReadonlySet<DelegationError['reason']> = new Set(['arguments', 'store']);

const UPSTREAM = [
  [MedplumRateLimitError, 503],
  [MedplumOverloadError, 503],
  [MedplumTimeoutError, 504],
  [MedplumAbortError, 504],
  [MedplumConnectionError, 502],
  [MedplumTlsError, 502],
  [MedplumProtocolError, 502],
  [MedplumGraphqlError, 502],
] as const;

const ABOUT_THE_RESOURCE = [
  [OnBehalfOfRejectedError, 403],
  [MedplumNotModifiedError, 304],
  [MedplumNotFoundError, 404],
  [MedplumGoneError, 410],
  [MedplumConflictError, 409],
  [MedplumPreconditionFailedError, 412],
] as const;

/** Statuses of a failed entry that the app's client is told. */
const FAILED_ENTRY = [400, 403, 404, 409, 410, 412, 422] as const;

function statusFor(error: MedplumError): Status {
  if (error instanceof OnBehalfOfRequiredError && (error.status === 401 || error.status === 403)) {
    return error.status; // A message that was refused because of its user
  }
  if (OURS.some((type) => error instanceof type)) {
    return 500;
  }
  if (error instanceof DelegationError) {
    return OURS_OF_DELEGATION.has(error.reason) ? 500 : 401;
  }
  const upstream = UPSTREAM.find(([type]) => error instanceof type)?.[1];
  if (upstream) {
    return upstream;
  }
  if (error instanceof MedplumServerError) {
    return error.status === 504 ? 504 : 502;
  }
  if (error instanceof MedplumContentTooLargeError && !isUpload(error)) {
    return 502;
  }
  // The client sees more than the user. A 404 or 409 of its own calls would tell the user about records of others.
  if (error.request?.identitySource !== undefined && error.request.onBehalfOf === undefined) {
    return 500;
  }
  if (error instanceof MedplumContentTooLargeError) {
    return 413;
  }
  if (error instanceof MedplumTransactionError) {
    return failedEntryStatus(error);
  }
  const aboutTheResource = ABOUT_THE_RESOURCE.find(([type]) => error instanceof type)?.[1];
  if (aboutTheResource) {
    return aboutTheResource;
  }
  if (error instanceof MedplumForbiddenError) {
    // Medplum answers a PATCH with 403 only when the resource exists, even if the identity may not see it.
    return error.request?.method === 'PATCH' ? 404 : 403;
  }
  if (error instanceof MedplumBadRequestError) {
    return error.status === 422 ? 422 : 400;
  }
  return 500;
}

/** Whether the content came from the client of the app. Otherwise a response or a file of the server was too large. */
function isUpload({ request, effect }: MedplumError): boolean {
  return (
    effect === 'none' && request?.pathTemplate.includes('/Binary') === true && /^(?:POST|PUT)$/.test(request.method)
  );
}

/**
 * The status of the first entry that failed, if its client can do something about it. A transaction that has written
 * something is none of those: the client must not take it for one that did nothing.
 */
function failedEntryStatus({ effect, response }: MedplumTransactionError): Status {
  const statuses = (response?.entry ?? []).map((entry) => Number.parseInt(entry.response?.status ?? '', 10));
  const failed = statuses.find((status) => status >= 400);
  return effect === 'none' && FAILED_ENTRY.find((status) => status === failed) ? (failed as Status) : 502;
}

/** The status and texts that the app's client gets for an error. They say nothing about records. */
export function exceptionAnswer(error: MedplumError): MedplumExceptionAnswer {
  const status = statusFor(error);
  const [text, issue] = ANSWERS[status];
  return {
    status,
    error: STATUS_CODES[status] ?? 'Error',
    text,
    issue,
    retryAfter:
      error instanceof MedplumRateLimitError || error instanceof MedplumOverloadError ? error.retryAfter : undefined,
  };
}
