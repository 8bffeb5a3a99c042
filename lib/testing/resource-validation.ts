import type { OperationOutcomeIssue } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { MedplumServerVersion, Resource } from './emulator.types';
import { core } from './medplum-peers';

/**
 * Validates a resource. The installed `@medplum/core` is stricter than the recorded server: that one accepts days that no
 * calendar has, and large integers.
 *
 * @throws OperationOutcomeError 400 with every issue
 */
export function validateResource(resource: Resource, serverVersion: MedplumServerVersion): void {
  try {
    core.validateResource(resource);
  } catch (error) {
    if (serverVersion !== '5.0' || !(error instanceof core.OperationOutcomeError)) {
      throw error;
    }
    const issue = error.outcome.issue.flatMap((found) => recordedIssue(resource, found));
    if (issue.length > 0) {
      throw new core.OperationOutcomeError({ ...error.outcome, issue });
    }
  }
}

/** The issue as the recorded server words it; none for what it accepts. */
function recordedIssue(resource: Resource, issue: OperationOutcomeIssue): OperationOutcomeIssue[] {
  const text = issue.details?.text ?? '';
  if (/^Invalid (date|dateTime|instant) value$/.test(text)) {
    return [];
  }
  const range = /^Expected number to be in the range (-?\d+)\.\./.exec(text);
  if (!range) {
    return [issue];
  }
  const low = Number(range[1]);
  const value = Number(valueAt(resource, issue.expression?.[0] ?? ''));
  if (low < 0 || value >= low) {
    return [];
  }
  return [{ ...issue, details: { text: `Expected number to be ${low === 1 ? 'positive' : 'non-negative'}` } }];
}

/** The value at a path such as `Patient.telecom[0].rank`. */
function valueAt(resource: Resource, path: string): unknown {
  return path
    .split(/[.[\]]+/)
    .slice(1)
    .filter(Boolean)
    .reduce<unknown>((current, key) => (current as Record<string, unknown> | undefined)?.[key], resource);
}
