import type { SearchRequest } from '@medplum/core';
import type { Bundle, BundleEntry } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import type { SearchPage } from './search-page';
import type { Row, Version } from './store';

/** `http://127.0.0.1:1234/fhir/R4/Patient/<id>` */
export function fullUrl(baseUrl: string, resourceType: string, id: string): string {
  return `${baseUrl}fhir/R4/${resourceType}/${id}`;
}

/** The bundle for one page of a search. An empty page has no `entry`, and `self` is its only link. */
export function searchsetBundle(baseUrl: string, page: SearchPage, entry: BundleEntry[]): Bundle {
  const { request, next, previous } = page;
  const { offset: _offset, cursor: _cursor, ...first } = request;
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
