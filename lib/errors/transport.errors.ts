import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/** What took too long: the whole call (`total`), the response headers, or the next piece of the response body. */
export type MedplumTimeoutPhase = 'total' | 'headers' | 'body';

/**
 * Thrown when the time of the whole call ran out, retries and waits included, or that of one step of its last attempt.
 * Also thrown when a job does not finish within `maxWait` (the job goes on) and when the token endpoint is too slow.
 *
 * `effect` is `none` when the call was a read or had not been sent; then you may make it again (`retryable`). For a
 * write that had been sent it is `unknown`, or `happened` if the status of a success had already arrived.
 */
export class MedplumTimeoutError extends MedplumError {
  /** The limit that was exceeded: `timeout` (`total`), `headersTimeout` (`headers`) or `bodyTimeout` (`body`). */
  readonly phase: MedplumTimeoutPhase;

  constructor(message: string, details?: MedplumErrorDetails & { readonly phase?: MedplumTimeoutPhase }) {
    super('MEDPLUM_TIMEOUT', message, details);
    this.phase = details?.phase ?? 'total';
  }
}

/**
 * Thrown when TLS refused the connection, mostly because the server's certificate is not trusted. The attempt sent
 * nothing. `effect` is `none`, unless an earlier attempt of the same write has an unknown effect. Check the
 * certificates of the server and of the app; `cause.code` says what is wrong.
 */
export class MedplumTlsError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_TLS', message, details);
  }
}

/**
 * Thrown when your `AbortSignal` ended the call, when the client of the incoming request disconnected
 * (`abortOnDisconnect`), or when a download was destroyed before its end.
 *
 * `effect` is `none` when the call was a read or had not been sent. For a write that had been sent it is `unknown`, or
 * `happened` if the status of a success had already arrived: read the resource before you repeat the write.
 */
export class MedplumAbortError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_ABORT', message, details);
  }
}

/**
 * Thrown when the server could not be reached, the connection broke, or the app shut down during the call. `cause.code`
 * says which, for example `ECONNREFUSED` or `SHUTDOWN`.
 *
 * `effect` is `none` when the call was a read or had not been sent; `retryable` says whether you may make it again. For
 * a write that had been sent it is `unknown`, or `happened` if the status of a success had already arrived: read the
 * resource before you repeat the write.
 */
export class MedplumConnectionError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_CONNECTION', message, details);
  }
}

/**
 * Thrown when content is larger than the call allows (`maxBytes`, in bytes), or a response larger than the client reads
 * (`maxResponseBytes`). The library stops there and releases the connection.
 *
 * `effect` is `none` for a read and for an upload that was too large. It is `happened` when only the response to a
 * successful write was too large. Raise the limit, or transfer less.
 */
export class MedplumContentTooLargeError extends MedplumError {
  constructor(message: string, details?: MedplumErrorDetails) {
    super('MEDPLUM_CONTENT_TOO_LARGE', message, details);
  }
}
