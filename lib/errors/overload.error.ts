import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/**
 * Thrown when the client has the option `quota` and the call does not fit into its queue: too many calls wait already, or
 * the server's quota is used up and does not reset within the time limit of the call.
 *
 * Nothing was sent, so `effect` is `none`. Make the call again after {@link MedplumOverloadError.retryAfter}.
 */
export class MedplumOverloadError extends MedplumError {
  /** When to try again, in ms: an estimate. */
  readonly retryAfter?: number;

  constructor(message: string, details?: MedplumErrorDetails & { readonly retryAfter?: number | undefined }) {
    super('MEDPLUM_OVERLOADED', message, details);
    if (details?.retryAfter !== undefined) {
      this.retryAfter = details.retryAfter;
    }
  }
}
