import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/** The request is invalid: refused by the server (400, 405, 413, 415, 422, 431 …), or before sending (no `status`). */
export class MedplumBadRequestError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_BAD_REQUEST', message, details);
  }
}

/**
 * 304: the caller sent `If-None-Match` or `If-Modified-Since`, and what it has is up to date (RFC 9110 section 15.4.5).
 * `fetch` answers with the status instead.
 */
export class MedplumNotModifiedError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_NOT_MODIFIED', message, details);
  }
}

/** 401: the server does not accept the client's own credentials. It is never about the user that is acted for. */
export class MedplumUnauthorizedError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_UNAUTHORIZED', message, details);
  }
}

/** 403: the access policy of the identity does not grant this interaction with this resource type. */
export class MedplumForbiddenError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_FORBIDDEN', message, details);
  }
}

/** 404: there is no such resource, or the identity may not see it. Medplum does not tell which. */
export class MedplumNotFoundError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_NOT_FOUND', message, details);
  }
}

/** 409: the write met a concurrent one, or a duplicate exists. */
export class MedplumConflictError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_CONFLICT', message, details);
  }
}

/** 410: the resource was deleted. */
export class MedplumGoneError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_GONE', message, details);
  }
}

/** 412: `If-Match` names another version, or a conditional operation matches several resources. */
export class MedplumPreconditionFailedError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_PRECONDITION_FAILED', message, details);
  }
}

/** 429: the quota of the client is used up. All users of one client share it. */
export class MedplumRateLimitError extends MedplumError {
  /** How long the server asked to wait, in ms, if it said so. */
  readonly retryAfter?: number;

  constructor(message: string, details?: MedplumErrorDetails & { readonly retryAfter?: number | undefined }) {
    super('MEDPLUM_RATE_LIMIT', message, details);
    if (details?.retryAfter !== undefined) {
      this.retryAfter = details.retryAfter;
    }
  }
}

/** 5xx: the server, or a proxy before it, failed. */
export class MedplumServerError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_SERVER', message, details);
  }
}

/** The answer is not one that Medplum gives: a redirect, an answer that is no JSON, a body that was cut off. */
export class MedplumProtocolError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_PROTOCOL', message, details);
  }
}

/**
 * An earlier attempt of this call may have taken effect, and the answer to its repetition (412, 404 or 410) may be due
 * to that: look at the resource before you decide anything. It is not a version conflict.
 */
export class UnknownEffectError extends MedplumError {
  constructor(message: string, details?: Omit<MedplumErrorDetails, 'effect' | 'retryable'>) {
    super('MEDPLUM_UNKNOWN_EFFECT', message, { ...details, effect: 'unknown' });
  }
}
