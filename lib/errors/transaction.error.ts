import type { Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumError, type MedplumErrorDetails } from './medplum.error';

/**
 * Thrown when the server accepted a transaction but some of its entries failed: the project lacks the feature
 * `transaction-bundles`, so Medplum ran the transaction as a batch.
 *
 * `effect` is `happened` when at least one entry that writes succeeded: its change stays. It is `none` when only reads
 * succeeded, or nothing did. {@link MedplumTransactionError.response} tells which entries to undo or to send again.
 */
export class MedplumTransactionError extends MedplumError {
  readonly #response: Bundle | undefined;

  constructor(message: string, details: MedplumErrorDetails & { readonly response?: Bundle } = {}) {
    super('MEDPLUM_TRANSACTION', message, details);
    this.#response = details.response;
  }

  /** The response bundle. Read its entries with `entryResults()`. PHI. */
  get response(): Bundle | undefined {
    return this.#response;
  }
}
