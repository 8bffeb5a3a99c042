import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/**
 * Thrown when a request is invalid. With a `status`, the server refused it (400, 405, 413, 415, 422, 431 …), and
 * `outcome` says where it is wrong. Without one, the library refused your arguments before sending anything. Also thrown
 * when a bot threw: Medplum responds with 400, and `outcome` has the text of the exception.
 *
 * `effect` is `none`, unless an earlier attempt of the same write has an unknown effect. It is `unknown` for a bot, which
 * may have written before it threw. Correct the request: repeating it unchanged does not help.
 */
export class MedplumBadRequestError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_BAD_REQUEST', message, details);
  }
}

/**
 * Thrown for status 304: you sent `If-None-Match` or `If-Modified-Since`, and your copy is up to date (RFC 9110 section
 * 15.4.5). `effect` is `none`. Use your copy. `fetch` returns the response instead of throwing.
 */
export class MedplumNotModifiedError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_NOT_MODIFIED', message, details);
  }
}

/**
 * Thrown for status 401: the server does not accept the credentials of the client. Also thrown when the token endpoint
 * refuses them, or when the `clientSecret` function fails or returns no text. It is never about the identity.
 *
 * `effect` is `none`, unless an earlier attempt of the same write has an unknown effect. Check `clientId` and
 * `clientSecret`.
 */
export class MedplumUnauthorizedError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_UNAUTHORIZED', message, details);
  }
}

/**
 * Thrown for status 403: the access policy of the identity does not allow this interaction with this resource. `effect`
 * is `none`, unless an earlier attempt of the same write has an unknown effect. Change the policy, or call for another
 * identity.
 */
export class MedplumForbiddenError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_FORBIDDEN', message, details);
  }
}

/**
 * Thrown for status 404: there is no such resource, or the identity may not see it. Medplum does not tell which.
 * `effect` is `none`.
 */
export class MedplumNotFoundError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_NOT_FOUND', message, details);
  }
}

/**
 * Thrown for status 409: somebody wrote at the same time, or a duplicate exists. `effect` is `none`, unless an earlier
 * attempt of the same write has an unknown effect. If `retryable` is true, two transactions collided in the database,
 * and you may make the call again. Otherwise look for the duplicate.
 */
export class MedplumConflictError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_CONFLICT', message, details);
  }
}

/** Thrown for status 410: the resource was deleted. `effect` is `none`. Repeating the call does not help. */
export class MedplumGoneError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_GONE', message, details);
  }
}

/**
 * Thrown for status 412: the resource is no longer in the version that `If-Match` names, or the condition of a
 * conditional call matches several resources. `effect` is `none`. Read the resource and apply your change again, or
 * narrow the condition.
 */
export class MedplumPreconditionFailedError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_PRECONDITION_FAILED', message, details);
  }
}

/**
 * Thrown for status 429, of the server or of its token endpoint: the quota of the client, which all its users share, is
 * used up. The library has retried the call within its limits. Also thrown, without a retry, when Medplum says so inside
 * a response with 200: to a GraphQL request, and to a transaction of which nothing was written.
 *
 * `effect` is `none`, unless an earlier attempt of the same write has an unknown effect, or a mutation may have written
 * with some of its fields. If `retryable` is true, make the call again after {@link MedplumRateLimitError.retryAfter}.
 */
export class MedplumRateLimitError extends MedplumError {
  /** How long the server asks you to wait, in ms; absent if it did not say. */
  readonly retryAfter?: number;

  constructor(message: string, details?: MedplumErrorDetails & { readonly retryAfter?: number | undefined }) {
    super('MEDPLUM_RATE_LIMIT', message, details);
    if (details?.retryAfter !== undefined) {
      this.retryAfter = details.retryAfter;
    }
  }
}

/**
 * Thrown for status 5xx of the server, of a proxy in front of it or of its token endpoint. `effect` is `none` for a
 * read and for a call that got no token. It is `unknown` for a write that was sent: the server may have stored it
 * before it failed. If `retryable` is true you may make the call again; otherwise read the resource first.
 */
export class MedplumServerError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_SERVER', message, details);
  }
}

/**
 * Thrown when a response is not one that Medplum sends: a redirect, an HTML page instead of JSON, a body that was cut
 * off, or a link to another server, which is never followed. Check that `baseUrl` is the Medplum server and that no
 * proxy rewrites its responses.
 *
 * `effect` is `none` for a read. For a write it is `happened` when the status shows that Medplum carried it out, `none`
 * when the status refuses it, and `unknown` when the response may come from another server.
 */
export class MedplumProtocolError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_PROTOCOL', message, details);
  }
}

/**
 * Thrown when the library repeated a write whose first attempt may have taken effect, and the response to the
 * repetition is 412, 404 or 410. Your own first attempt may have caused that response, so it is not a version conflict.
 * `effect` is always `unknown`. Read the resource before you decide what to do.
 */
export class UnknownEffectError extends MedplumError {
  constructor(message: string, details?: Omit<MedplumErrorDetails, 'effect' | 'retryable'>) {
    super('MEDPLUM_UNKNOWN_EFFECT', message, { ...details, effect: 'unknown' });
  }
}
