import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/** The time for the whole call (option `timeout`, retries and waiting included) ran out. */
export class MedplumTimeoutError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_TIMEOUT', message, details);
  }
}

/** The caller's `AbortSignal` ended the call. */
export class MedplumAbortError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_ABORT', message, details);
  }
}

/** The server could not be reached, or the connection broke. `cause.code` tells more, e.g. `ECONNREFUSED`. */
export class MedplumConnectionError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_CONNECTION', message, details);
  }
}

/** Content is larger than the caller allows (`maxBytes`). Reading was stopped, and the connection was let go. */
export class MedplumContentTooLargeError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_CONTENT_TOO_LARGE', message, details);
  }
}
