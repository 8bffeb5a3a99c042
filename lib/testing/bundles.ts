import type { SearchRequest } from '@medplum/core';
import type { ReadHistoryOptions } from '@medplum/fhir-router';
import type { Bundle, BundleEntry } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { usesCursor, type SearchPage } from './search-page';
import type { Row, Version } from './store';

/** `http://127.0.0.1:1234/fhir/R4/Patient/<id>` */
export function fullUrl(baseUrl: string, resourceType: string, id: string): string {
  return `${baseUrl}fhir/R4/${resourceType}/${id}`;
}

/** The bundle for one page of a search. An empty page has no `entry`, and `self` is its only link. */
export function searchsetBundle(baseUrl: string, page: SearchPage, entry: BundleEntry[]): Bundle {
  const { request, next, previous } = page;
  const { offset: _offset, cursor, ...start } = request;
  const first: SearchRequest = cursor === undefined || usesCursor(request) ? start : { ...start, cursor };
  const link = (relation: string, target: SearchRequest): { relation: string; url: string } => ({
    relation,
    url: `${baseUrl}fhir/R4/${target.resourceType}${core.formatSearchQuery(target)}`,
  });
  const others = [
    link('first', first),
    ...(next ? [link('next', next)] : []),
    ...(previous ? [link('previous', previous)] : []),
  ];
  return {
    resourceType: 'Bundle',
    type: 'searchset',
    ...(entry.length > 0 && { entry }),
    ...((request.total === 'accurate' || request.total === 'estimate') && { total: page.total }),
    link: [link('self', request), ...(entry.length > 0 ? others : [])],
  };
}

/** The entry for one version in a history. A deletion has no resource, so nothing says who deleted it. */
export function historyEntry(
  baseUrl: string,
  { resourceType, id }: Row,
  version: Version,
  resource: StoredResource | undefined,
): BundleEntry {
  const common = {
    fullUrl: fullUrl(baseUrl, resourceType, id),
    request: { method: 'GET' as const, url: `${resourceType}/${id}/_history/${version.versionId}` },
  };
  if (resource) {
    return { ...common, response: { status: '200', outcome: core.allOk }, resource };
  }
  const details = { text: `Deleted on ${version.lastUpdated}` };
  const issue = [{ severity: 'error' as const, code: 'deleted' as const, details }];
  return { ...common, response: { status: '410', outcome: { resourceType: 'OperationOutcome', id: 'gone', issue } } };
}

/** Versions of a history, if `_count` says nothing, and at most. */
const DEFAULT_VERSIONS = 100;
const MAX_VERSIONS = 1000;
const MAX_OFFSET = 10_000;

/**
 * One page of a history, newest first. Like the server, this ignores a count of 0 and one that is no number.
 *
 * @throws OperationOutcomeError 400 for an offset beyond the maximum
 */
export function versionsOnPage({ versions }: Row, options: ReadHistoryOptions | undefined): readonly Version[] {
  const { offset = 0, limit = DEFAULT_VERSIONS } = options ?? {};
  if (offset > MAX_OFFSET) {
    const text = `Search offset exceeds maximum (got ${offset}, max ${MAX_OFFSET})`;
    throw new core.OperationOutcomeError(core.badRequest(text));
  }
  const start = offset > 0 ? offset : 0;
  const newestFirst = versions.toReversed();
  return limit > 0 ? newestFirst.slice(start, start + Math.min(limit, MAX_VERSIONS)) : newestFirst.slice(start);
}
