import type { SearchRequest, SortRule } from '@medplum/core';
import { core } from './medplum-peers';
import type { StoredResource } from './emulator.types';
import { compileFilter } from './search-filter';
import { searchValues } from './search-values';
import type { CompiledFilter, SearchScope } from './search.types';
import { currentVersion, type Row, type Version } from './store';

/** Matches per page: the default without `_count`, and the maximum. */
const DEFAULT_COUNT = 20;
const MAX_COUNT = 1000;
const MAX_OFFSET = 10_000;

/** One match of a search. */
export interface SearchHit {
  readonly row: Row;
  readonly version: Version;
  readonly resource: StoredResource;
}

/** One page of a search. */
export interface SearchPage {
  readonly hits: readonly SearchHit[];
  /** Number of all matches. */
  readonly total: number;
  /** The request as it was understood. The link `self` shows it. */
  readonly request: SearchRequest;
  readonly next: SearchRequest | undefined;
  readonly previous: SearchRequest | undefined;
}

/**
 * Finds one page of matches.
 *
 * @param policyFilter what the caller's policy lets them find of a type; `undefined` for everything.
 */
export function findPage(
  scope: SearchScope,
  input: SearchRequest,
  policyFilter: (resourceType: string) => CompiledFilter | undefined,
): SearchPage {
  const offset = input.offset ?? 0;
  if (offset > MAX_OFFSET) {
    throw new core.OperationOutcomeError(
      core.badRequest(`Search offset exceeds maximum (got ${offset}, max ${MAX_OFFSET})`),
    );
  }
  const count = Math.max(Math.min(input.count ?? DEFAULT_COUNT, MAX_COUNT), 0);
  const request: SearchRequest = { ...input, count };
  const hits = core
    .getSearchResourceTypes(request)
    .flatMap((type) => findHits(scope, type, request, policyFilter(type)));
  sortHits(hits, request.sortRules);
  if (Number.isNaN(count)) {
    return { hits: [], total: hits.length, request, next: undefined, previous: undefined };
  }
  if (usesCursor(request, count)) {
    return cursorPage(hits, request, count);
  }
  const { cursor: _cursor, ...plain } = request;
  const page = hits.slice(offset, offset + count);
  return {
    hits: page,
    total: hits.length,
    request,
    next: offset + count < hits.length && count > 0 ? { ...plain, offset: offset + count } : undefined,
    previous: offset > 0 ? { ...plain, offset: Math.max(0, offset - count) } : undefined,
  };
}

function findHits(
  scope: SearchScope,
  resourceType: string,
  request: SearchRequest,
  policyFilter: CompiledFilter | undefined,
): SearchHit[] {
  const filters = (request.filters ?? []).map((filter) => compileFilter(scope, resourceType, filter));
  const all = policyFilter ? [...filters, policyFilter] : filters;
  const hits: SearchHit[] = [];
  for (const row of candidates(scope, resourceType, all)) {
    const version = currentVersion(row);
    const { resource } = version;
    if (resource && row.project === scope.project && all.every((filter) => filter.matches(version, resource))) {
      hits.push({ row, version, resource });
    }
  }
  return hits;
}

/** The smallest set of rows that an index finds for a filter. If no index helps, all rows of the project. */
function candidates({ store, project }: SearchScope, resourceType: string, filters: CompiledFilter[]): Iterable<Row> {
  let best: ReadonlySet<Row> | undefined;
  for (const { lookup } of filters) {
    const found = lookup && store.lookup(resourceType, lookup.code, lookup.keys);
    if (found && (!best || found.size < best.size)) {
      best = found;
    }
  }
  return best ?? store.lookup(resourceType, '_project', project === undefined ? [] : [project]);
}

type SortKey = string | number | undefined;

/** Sorts in place. Without rules, the order of creation stays. Missing values come last, in descending order first. */
function sortHits(hits: SearchHit[], rules: readonly SortRule[] = []): void {
  const known = rules.filter(({ code }) =>
    hits.some(({ resource }) => core.getSearchParameter(resource.resourceType, code)),
  );
  if (known.length === 0) {
    return;
  }
  const keyed = hits.map((hit) => ({ hit, keys: known.map((rule) => sortKey(hit, rule)) }));
  keyed.sort((a, b) => {
    for (const [index, { descending }] of known.entries()) {
      const order = compareKeys(a.keys[index], b.keys[index]);
      if (order !== 0) {
        return descending ? -order : order;
      }
    }
    return 0;
  });
  hits.splice(0, hits.length, ...keyed.map(({ hit }) => hit));
}

function sortKey({ version, resource }: SearchHit, { code, descending }: SortRule): SortKey {
  if (code === '_lastUpdated') {
    return version.sequence;
  }
  const values = searchValues(version, resource, code);
  const keys = sortableKeys(values).toSorted(compareKeys);
  return descending ? keys.at(-1) : keys[0];
}

function sortableKeys(values: ReturnType<typeof searchValues>): Exclude<SortKey, undefined>[] {
  switch (values.kind) {
    case 'string':
      return [...values.exact];
    case 'token':
      return values.tokens.map(({ value, system }) => value ?? system ?? '');
    case 'date':
      return values.dates.map(({ time }) => time);
    case 'number':
      return values.ranges.map(([low]) => low);
    default:
      return [...values.values];
  }
}

function compareKeys(a: SortKey, b: SortKey): number {
  if (a === undefined || b === undefined) {
    return Number(a === undefined) - Number(b === undefined);
  }
  return a < b ? -1 : Number(a > b);
}

/** The server uses cursors instead of offsets if the matches are in the order of writing. */
function usesCursor(request: SearchRequest, count: number): boolean {
  const [rule, ...others] = request.sortRules ?? [];
  return (
    rule?.code === '_lastUpdated' &&
    !rule.descending &&
    others.length === 0 &&
    count >= DEFAULT_COUNT &&
    request.offset === undefined
  );
}

function cursorPage(hits: readonly SearchHit[], request: SearchRequest, count: number): SearchPage {
  const from = Number(/^2-(\d+)$/.exec(request.cursor ?? '')?.[1] ?? 0);
  const rest = hits.filter(({ version }) => Date.parse(version.lastUpdated) >= from);
  let end = Math.min(count, rest.length);
  // A cursor is a time in milliseconds, so resources of the same millisecond must stay on one page.
  while (rest[end] && rest[end]?.version.lastUpdated === rest[end - 1]?.version.lastUpdated) {
    end++;
  }
  const following = rest[end];
  return {
    hits: rest.slice(0, end),
    total: hits.length,
    request,
    next: following ? { ...request, cursor: `2-${Date.parse(following.version.lastUpdated)}` } : undefined,
    previous: undefined,
  };
}
