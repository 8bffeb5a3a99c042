import type { AccessPolicyResource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { Resource, StoredResource } from './emulator.types';
import { isRecord } from './is-record';

/** A copy without the hidden fields. */
export function withoutFields(resource: StoredResource, hiddenFields: readonly string[] = []): StoredResource {
  if (hiddenFields.length === 0) {
    return resource;
  }
  const shown = structuredClone(resource);
  for (const path of hiddenFields) {
    removeField(shown, path.split('.'));
  }
  return shown;
}

/**
 * Undoes changes that the rule does not allow. Like the server, this removes hidden and read-only fields, and restores
 * their stored value only at the top level.
 */
export function keepProtectedFields<T extends Resource>(
  resource: T,
  original: Resource | undefined,
  { hiddenFields = [], readonlyFields = [] }: AccessPolicyResource,
): T {
  const fields = [...readonlyFields, ...hiddenFields];
  if (fields.length === 0) {
    return resource;
  }
  const changed = structuredClone(resource) as unknown as Record<string, unknown>;
  for (const field of fields) {
    removeField(changed, field.split('.'));
    const stored = original && (original as unknown as Record<string, unknown>)[field];
    if (stored) {
      changed[field] = stored;
    }
  }
  return changed as T;
}

/** Removes a field by its path, in every element of the lists on the way. */
function removeField(target: unknown, [key = '', ...rest]: readonly string[]): void {
  if (Array.isArray(target)) {
    for (const element of target) {
      removeField(element, [key, ...rest]);
    }
    return;
  }
  if (!isRecord(target)) {
    return;
  }
  for (const name of elementNames(target, key)) {
    if (rest.length > 0) {
      removeField(target[name], rest);
    } else {
      delete target[name];
    }
  }
}

/** `value[x]` stands for `valueString`, `valueQuantity` and so on. */
function elementNames(target: Record<string, unknown>, key: string): readonly string[] {
  if (!key.endsWith('[x]')) {
    return [key];
  }
  const stem = key.slice(0, -3);
  return Object.keys(target).filter((name) => name.startsWith(stem) && /[A-Z]/.test(name.charAt(stem.length)));
}
