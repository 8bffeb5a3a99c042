import type { SearchRequest, SortRule } from '@medplum/core';
import type { HumanName } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { MedplumServerVersion } from './emulator.types';
import { core } from './medplum-peers';
import { isNewerParameter } from './newer-definitions';
import { refuseColumn } from './search-column';
import { parameterShape } from './search-parameter';
import type { SearchHit } from './search.types';
import { findParameter, searchValues, type SearchValues } from './search-values';
import { nameSortKey } from './word-rows';

/** A column that is a list sorts element by element. */
type SortKey = string | number | readonly (string | number)[] | undefined;

/**
 * Sorts in place. Without rules, the order of creation stays. Missing values come last, in descending order first.
 *
 * @throws OperationOutcomeError 400 for a rule that names no search parameter
 */
export function sortHits(
  hits: SearchHit[],
  { resourceType, sortRules = [] }: SearchRequest,
  serverVersion: MedplumServerVersion,
): void {
  for (const { code } of sortRules) {
    requireSortable(resourceType, code, serverVersion);
  }
  if (sortRules.length === 0) {
    return;
  }
  const keyed = hits.map((hit) => ({ hit, keys: sortRules.map((rule) => sortKey(hit, rule)) }));
  keyed.sort((a, b) => {
    for (const [index, { descending }] of sortRules.entries()) {
      const order = compareKeys(a.keys[index], b.keys[index]);
      if (order !== 0) {
        return descending ? -order : order;
      }
    }
    return 0;
  });
  hits.splice(0, hits.length, ...keyed.map(({ hit }) => hit));
}

function requireSortable(resourceType: string, code: string, serverVersion: MedplumServerVersion): void {
  if (code === '_id' || code === '_lastUpdated') {
    return;
  }
  const parameter = code === '_project' ? undefined : findParameter(resourceType, code);
  if (!parameter || isNewerParameter(serverVersion, resourceType, code)) {
    throw new core.OperationOutcomeError(core.badRequest(`Unknown search parameter: ${code}`));
  }
  if (code === '_compartment' || parameterShape(resourceType, parameter).column === 'none') {
    refuseColumn(resourceType, code);
  }
}

function sortKey({ version, resource }: SearchHit, { code }: SortRule): SortKey {
  if (code === '_id') {
    return resource.id;
  }
  if (code === '_lastUpdated') {
    return version.sequence;
  }
  const values = searchValues(version, resource, code);
  if (values.kind === 'words' && (code === 'name' || code === 'given' || code === 'family')) {
    return nameSortKey((resource as { name?: HumanName[] }).name ?? [], code);
  }
  return keyOf(values);
}

function keyOf(values: SearchValues): SortKey {
  switch (values.kind) {
    case 'words':
      return values.rows.flatMap(({ text }) => text ?? []).toSorted()[0];
    case 'token':
      return values.tokens.flatMap(({ value }) => value ?? []).toSorted((a, b) => a.localeCompare(b))[0];
    case 'boolean':
      return values.value === undefined ? undefined : Number(values.value);
    case 'period':
      return values.values[0]?.[0];
    default:
      return values.values.length > 0 ? values.values : undefined;
  }
}

function compareKeys(a: SortKey, b: SortKey): number {
  if (a === undefined || b === undefined) {
    return Number(a === undefined) - Number(b === undefined);
  }
  const [first, second] = [[a].flat(), [b].flat()];
  for (const [index, value] of first.entries()) {
    const other = second[index];
    if (other === undefined || value !== other) {
      return other === undefined || value > other ? 1 : -1;
    }
  }
  return first.length - second.length;
}
