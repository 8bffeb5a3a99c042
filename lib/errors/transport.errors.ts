import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/** What took too long: the whole call (option `timeout`), the begin of the answer, or the next piece of its body. */
export type MedplumTimeoutPhase = 'total' | 'headers' | 'body';

/** Time ran out: that of the whole call, retries and waiting included, or of one step of its last attempt. */
export class MedplumTimeoutError extends MedplumError {
  /** Which limit it was: option `timeout` (`total`), `headersTimeout` (`headers`) or `bodyTimeout` (`body`). */
  readonly phase: MedplumTimeoutPhase;

  constructor(message: string, details?: MedplumErrorDetails & { readonly phase?: MedplumTimeoutPhase }) {
    super('MEDPLUM_TIMEOUT', message, details);
    this.phase = details?.phase ?? 'total';
  }
}

/** The connection was refused by TLS, before anything was sent: look at the certificates. `cause.code` tells more. */
export class MedplumTlsError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_TLS', message, details);
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
