import type { Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/**
 * A transaction was carried out in part: the project lacks the feature `transaction-bundles`, so Medplum ran it as a batch.
 * What succeeded stays. `effect` is `none` when no entry succeeded.
 */
export class MedplumTransactionError extends MedplumError {
  readonly #response: Bundle | undefined;

  constructor(message: string, details: MedplumErrorDetails & { readonly response?: Bundle } = {}) {
    super('MEDPLUM_TRANSACTION', message, details);
    this.#response = details.response;
  }

  /** The answer, entry by entry: see `entryResults()`. PHI. */
  get response(): Bundle | undefined {
    return this.#response;
  }
}
