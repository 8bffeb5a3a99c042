import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/** What an {@link AuditSinkError} holds in addition to what every error holds. */
export interface AuditSinkErrorDetails extends MedplumErrorDetails {
  /** What the call would have returned. */
  readonly result?: unknown;
  /** Why the call itself failed. */
  readonly callError?: MedplumError | undefined;
}

/**
 * Thrown only with `audit.mode: 'require'`: a sink did not accept the record of the call, or there is no sink.
 *
 * `effect` tells what the call did on the server. It is `none` when the call was a read, or when the intent of a write
 * could not be recorded and so nothing was sent; in the second case you may make the call again (`retryable`). It is
 * `happened` when a write took effect: its result is in {@link AuditSinkError.result}, so do not make the call again.
 * It is `unknown` when the call itself failed with an unknown effect; see {@link AuditSinkError.callError}.
 */
export class AuditSinkError extends MedplumError {
  readonly #result: unknown;
  readonly #callError: MedplumError | undefined;

  constructor(message: string, details: AuditSinkErrorDetails = {}) {
    super('MEDPLUM_AUDIT_SINK', message, details);
    this.#result = details.result;
    this.#callError = details.callError;
  }

  /** The result of a write that took effect. The result of a read is withheld. PHI. */
  get result(): unknown {
    return this.#result;
  }

  /** Why the call itself failed, if it failed before its record did. */
  get callError(): MedplumError | undefined {
    return this.#callError;
  }
}
