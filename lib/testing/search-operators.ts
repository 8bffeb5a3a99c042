import type { Operator } from '@medplum/core';
import { core } from './medplum-peers';

/** @throws OperationOutcomeError 400 for `:in` and `:not-in`, which most parameters do not know */
export function refuseValueSets(code: string, operator: Operator): void {
  if (operator === 'in' || operator === 'not-in') {
    throw new core.OperationOutcomeError(core.invalidSearchOperator(operator, code));
  }
}

/** Whether the operator asks for resources that do not have the value. */
export function isNegated(operator: Operator): boolean {
  return operator === 'not' || operator === 'ne';
}
