import type { IncludeTarget, SearchRequest } from '@medplum/core';
import type { Reference } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { Resource, StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { parameterShape } from './search-parameter';
import { findParameter } from './search-values';

/** How the resources to include are found. */
export interface IncludeSource {
  /** Reads what the caller may read, and leaves out the rest. */
  read(references: readonly Reference[]): Promise<StoredResource[]>;
  /** Finds what the caller may find. */
  find(request: SearchRequest): StoredResource[];
}

/** How often `:iterate` goes on, and how many entries a bundle may have. */
const MAX_DEPTH = 5;
const MAX_ENTRIES = 1000;

/**
 * The resources that `_include` and `_revinclude` add to a page, each one once.
 *
 * @throws OperationOutcomeError 400 for an unknown parameter, and when `:iterate` finds too much
 */
export async function includedResources(
  request: SearchRequest,
  matches: readonly StoredResource[],
  source: IncludeSource,
): Promise<StoredResource[]> {
  const added = new Map<string, StoredResource>();
  const seen = new Set(matches.map((resource) => core.getReferenceString(resource)));
  let base: readonly StoredResource[] = matches;
  for (let depth = 0; base.length > 0; depth++) {
    if (depth >= MAX_DEPTH || matches.length + added.size > MAX_ENTRIES) {
      const reached = `depth=${depth}, results=${matches.length + added.size}`;
      throw new core.OperationOutcomeError(
        core.badRequest(`Search with _(rev)include reached query scope limit: ${reached}`),
      );
    }
    const applies = ({ modifier }: IncludeTarget): boolean => depth === 0 || modifier === 'iterate';
    const found = [
      ...(await Promise.all((request.include ?? []).filter(applies).map((target) => referred(target, base, source)))),
      ...(request.revInclude ?? []).filter(applies).map((target) => referring(target, base, source)),
    ].flat();
    for (const resource of found) {
      const key = core.getReferenceString(resource);
      if (!seen.has(key)) {
        seen.add(key);
        added.set(key, resource);
      }
    }
    base = found;
  }
  return [...added.values()];
}

/** What the resources refer to by the parameter. Like the server, this ignores the type of the target. */
async function referred(
  { resourceType, searchParam }: IncludeTarget,
  resources: readonly StoredResource[],
  source: IncludeSource,
): Promise<StoredResource[]> {
  const parameter = requireTarget(resourceType, searchParam);
  const found = core.evalFhirPathTyped(
    parameter.expression ?? '',
    resources.map((resource) => core.toTypedValue(resource)),
  );
  const references = found.flatMap(({ type, value }) => (type === 'Reference' ? [value as Reference] : []));
  const urls = found.flatMap(({ type, value }) => (type === 'canonical' || type === 'uri' ? [String(value)] : []));
  const filters = [{ code: 'url', operator: 'eq' as const, value: urls.join(',') }];
  const byUrl = urls.length > 0 ? (parameter.target ?? []) : [];
  return [
    ...(await source.read(references)),
    ...byUrl.flatMap((type) => source.find({ resourceType: type, filters, count: MAX_ENTRIES })),
  ];
}

/** What refers to the resources by the parameter. */
function referring(
  { resourceType, searchParam }: IncludeTarget,
  resources: readonly Resource[],
  source: IncludeSource,
): StoredResource[] {
  const parameter = requireTarget(resourceType, searchParam);
  const { isCanonical } = parameterShape(resourceType, parameter);
  const keys = resources.flatMap((resource) =>
    isCanonical ? ((resource as { url?: string }).url ?? []) : (core.getReferenceString(resource) ?? []),
  );
  const filters = [{ code: searchParam, operator: 'eq' as const, value: keys.join(',') }];
  return source.find({ resourceType, filters, count: MAX_ENTRIES } as SearchRequest);
}

function requireTarget(resourceType: string, code: string): NonNullable<ReturnType<typeof findParameter>> {
  const parameter = findParameter(resourceType, code);
  if (!parameter) {
    throw new core.OperationOutcomeError(core.badRequest(`Invalid include parameter: ${resourceType}:${code}`));
  }
  return parameter;
}
