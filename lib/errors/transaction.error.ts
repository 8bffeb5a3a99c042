import type { Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/**
 * A transaction was carried out in part: the project lacks the feature `transaction-bundles`, so Medplum ran it as a batch.
 * What succeeded stays. `effect` is `none` when no entry succeeded.
 */
export class MedplumTransactionError extends MedplumError {
  readonly #response: Bundle;

  constructor(message: string, response: Bundle, details?: MedplumErrorDetails) {
    super('MEDPLUM_TRANSACTION', message, details);
    this.#response = response;
  }

  /** The answer, entry by entry. PHI. */
  get response(): Bundle {
    return this.#response;
  }
}
