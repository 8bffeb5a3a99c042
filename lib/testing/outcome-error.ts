import type { OperationOutcome } from './emulator.types';
import { core } from './medplum-peers';

/** Throws an operation outcome as an error. */
export function fail(outcome: OperationOutcome): never {
  throw new core.OperationOutcomeError(outcome);
}
