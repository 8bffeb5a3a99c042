import type { SearchRequest } from '@medplum/core';
import { core } from './medplum-peers';
import type { StoredResource } from './emulator.types';
import { compileFilter } from './search-filter';
import { cutPage, sizedRequest, type SearchPage } from './search-page';
import { sortHits } from './search-sort';
import type { CompiledFilter, SearchHit, SearchScope } from './search.types';
import { currentVersion, type Row, type Version } from './store';

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
  const request = sizedRequest(input);
  const hits = core
    .getSearchResourceTypes(request)
    .flatMap((type) => findHits(scope, type, request, policyFilter(type)));
  sortHits(
    hits,
    request.cursor && !request.sortRules ? { ...request, sortRules: BY_TIME } : request,
    scope.serverVersion,
  );
  return cutPage(hits, request);
}

const BY_TIME = [{ code: '_lastUpdated' }];

function findHits(
  scope: SearchScope,
  resourceType: string,
  request: SearchRequest,
  policyFilter: CompiledFilter | undefined,
): SearchHit[] {
  const filters = (request.filters ?? []).map((filter) => compileFilter(scope, resourceType, filter));
  const all = policyFilter ? [policyFilter, ...filters] : filters;
  const findsDeleted = request.filters?.some(({ code }) => code === '_deleted') ?? false;
  const rows = findsDeleted ? scope.store.rows(resourceType) : candidates(scope, resourceType, all);
  const hits: SearchHit[] = [];
  for (const row of rows) {
    const version = currentVersion(row);
    const resource = version.resource ?? (findsDeleted ? tombstone(row, version) : undefined);
    if (resource && row.project === scope.project && all.every(({ matches }) => matches(version, resource) === true)) {
      hits.push({ row, version, resource });
    }
  }
  return hits;
}

/** What is left of a deleted resource. The compartments count only for policies: nobody sees them. */
function tombstone({ resourceType, id, versions, project }: Row, { lastUpdated }: Version): StoredResource {
  const compartment = versions.findLast(({ resource }) => resource)?.resource?.meta.compartment;
  const meta = { lastUpdated, ...(project && { project }), ...(compartment && { compartment }) };
  return { resourceType, id, meta } as StoredResource;
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
