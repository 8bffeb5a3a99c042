import type { AccessPolicyResource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { Resource } from './emulator.types';
import { core } from './medplum-peers';

/** Whether all write constraints of the rule hold. They are FHIRPath expressions with `%before` and `%after`. */
export function satisfiesConstraints(
  rule: AccessPolicyResource,
  before: Resource | undefined,
  after: Resource,
): boolean {
  return (rule.writeConstraint ?? []).every(({ expression }) => {
    const variables = {
      // On a create there is nothing before, so `%before.exists()` is false.
      '%before': before ? core.toTypedValue(before) : { type: 'undefined', value: undefined },
      '%after': core.toTypedValue(after),
    };
    const [result, ...others] = core.evalFhirPathTyped(expression ?? 'false', [core.toTypedValue(after)], variables);
    return others.length === 0 && result?.value === true;
  });
}
