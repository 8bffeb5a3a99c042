import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/** What an {@link AuditSinkError} holds beside what every error does. */
export interface AuditSinkErrorDetails extends MedplumErrorDetails {
  /** What the call would have returned. */
  readonly result?: unknown;
  /** Why the call itself failed. */
  readonly callError?: MedplumError | undefined;
}

/**
 * With `audit.mode: 'require'`: a sink did not accept a record. `effect` says what the call did all the same: `none` when
 * it was not sent, or read only; `happened` when a write took effect, and its result is in {@link AuditSinkError.result}.
 * Do not make such a call again.
 */
export class AuditSinkError extends MedplumError {
  readonly #result: unknown;
  readonly #callError: MedplumError | undefined;

  constructor(message: string, details: AuditSinkErrorDetails = {}) {
    super('MEDPLUM_AUDIT_SINK', message, details);
    this.#result = details.result;
    this.#callError = details.callError;
  }

  /** The answer to a write that took effect. What a read would have returned is withheld. PHI. */
  get result(): unknown {
    return this.#result;
  }

  /** Why the call failed, when it did so before its record failed too. */
  get callError(): MedplumError | undefined {
    return this.#callError;
  }
}
