import type { SearchRequest, TypedValue } from '@medplum/core';
import type { Reference } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { Resource } from './emulator.types';
import { core } from './medplum-peers';
import { parseCriteria } from './search-query';

/** Whether the resource may hold a reference such as `Patient?identifier=1`. */
export function hasConditionalReferences(resource: Resource): boolean {
  return /"reference":"[^"]*\?/.test(JSON.stringify(resource));
}

/**
 * A copy whose conditional references are replaced by those of their matches.
 *
 * @throws OperationOutcomeError 400 for a reference that matches nothing, or more than one resource
 */
export async function resolveConditionalReferences<T extends Resource>(
  resource: T,
  find: (request: SearchRequest) => Promise<readonly Resource[]>,
): Promise<T> {
  const resolved = structuredClone(resource);
  const replacement = async ({ type, value }: TypedValue, path: string): Promise<Reference | undefined> => {
    const criteria: unknown = type === 'Reference' ? (value as Reference | undefined)?.reference : undefined;
    if (typeof criteria !== 'string' || !criteria.includes('?')) {
      return undefined;
    }
    const { sortRules: _sortRules, ...request } = parseCriteria(criteria);
    const [match, ...others] = await find({ ...request, count: 2 });
    if (!match || others.length > 0) {
      const count = match ? 'matched multiple' : 'did not match any';
      throw new core.OperationOutcomeError(
        core.badRequest(`Conditional reference '${criteria}' ${count} resources`, path),
      );
    }
    return core.createReference(match);
  };
  await core.crawlTypedValueAsync(
    core.toTypedValue(resolved),
    {
      async visitPropertyAsync(parent, key, path, found) {
        const target = parent.value as Record<string, unknown>;
        if (!Array.isArray(found)) {
          const reference = await replacement(found, path);
          target[key] = reference ?? target[key];
          return;
        }
        for (const [index, element] of found.entries()) {
          const reference = await replacement(element, `${path}[${index}]`);
          if (reference) {
            (target[key] as unknown[])[index] = reference;
          }
        }
      },
    },
    { skipMissingProperties: true },
  );
  return resolved;
}
