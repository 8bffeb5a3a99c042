import type { Bundle, BundleEntry, Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError, MedplumProtocolError } from '../errors/response.errors';
import { type BaseUrl, pathWithin } from '../http/base-url';
import { objects } from '../http/objects';
import type { FhirRequest } from './fhir-request';
import { ACCEPT, INTERACTIONS, onType, ROOT } from './interactions';
import { checkResourceType } from './path-segments';
import { searchQuery } from './search-query';

/**
 * Queries that are longer, in characters, are POSTed. Medplum answers 431 when URL and headers exceed 16 KB, and many
 * proxies allow no more than 8.
 */
const LONGEST_IN_URL = 4_000;

/** A search that can be sent: where, for what, and how. */
export interface SearchTarget {
  /** `undefined`: several types, which the query names (`_type`). */
  readonly resourceType: string | undefined;
  /** Encoded, without `?`. */
  readonly query: string;
  /** Sent as a form, which keeps the query out of URLs and their logs. */
  readonly post: boolean;
}

/**
 * What is searched for.
 *
 * @param post `undefined`: only when the query is too long for a URL.
 */
export function searchTarget(type: unknown, query: unknown, post?: boolean, count?: number): SearchTarget {
  const resourceType = checkResourceType(type);
  const parameters = new URLSearchParams(searchQuery(query));
  if (count !== undefined) {
    parameters.set('_count', String(count));
  }
  const encoded = parameters.toString();
  return { resourceType, query: encoded, post: post ?? encoded.length > LONGEST_IN_URL };
}

/** GET `[type]?…`, or POST `[type]/_search`. */
export function searchRequest({ resourceType, query, post }: SearchTarget): FhirRequest {
  if (resourceType === undefined) {
    return { ...INTERACTIONS.searchTypes, path: ROOT, query, headers: ACCEPT, repeatability: 'safe' };
  }
  const request = onType(INTERACTIONS.search, resourceType);
  if (!post) {
    return { ...request, query, headers: ACCEPT, repeatability: 'safe' };
  }
  return {
    ...request,
    method: 'POST',
    path: `${request.path}/_search`,
    pathTemplate: `${request.pathTemplate}/_search`,
    eventQuery: query,
    headers: { ...ACCEPT, 'content-type': 'application/x-www-form-urlencoded' },
    body: query,
    repeatability: 'safe',
  };
}

/** A search, described in one step. */
export function search(type: string, query: unknown, count?: number, post?: boolean): FhirRequest {
  return searchRequest(searchTarget(type, query, post, count));
}

/** GET of the root with `_type`: resources of several types in one answer. */
export function searchTypes(types: readonly string[], query: unknown): FhirRequest {
  if (!Array.isArray(types) || types.length === 0) {
    throw new MedplumBadRequestError('A search in several types needs a list of at least one resource type.');
  }
  const parameters = new URLSearchParams(searchQuery(query));
  parameters.set('_type', types.map(checkResourceType).join(','));
  const text = parameters.toString();
  if (text.length > LONGEST_IN_URL) {
    throw new MedplumBadRequestError(
      'The query is too long for a URL, and a search in several types cannot be POSTed.',
    );
  }
  return searchRequest({ resourceType: undefined, query: text, post: false });
}

/**
 * The page after `bundle`; `undefined` after the last one. A search that was POSTed goes on with POST: a link would put
 * the query into a URL.
 *
 * @throws MedplumProtocolError when the link leads anywhere but to a search on the server of the client.
 */
export function nextPage(
  bundle: Bundle,
  { resourceType, post }: SearchTarget,
  base: BaseUrl,
): SearchTarget | undefined {
  const link = objects(bundle.link).find(({ relation }) => relation === 'next')?.url;
  if (link === undefined) {
    return undefined;
  }
  const path = typeof link === 'string' ? pathWithin(base, link) : undefined;
  const [, type, query] = /^fhir\/R4\/([A-Z][A-Za-z]*)(?:\/_search)?\?(.+)$/.exec(path ?? '') ?? [];
  if (type === undefined || query === undefined || (resourceType !== undefined && type !== resourceType)) {
    throw new MedplumProtocolError(
      'The link to the next page leads to another place than this search on the server of the client, so it was not followed. If it is the address that your server has for itself, set the option publicUrl.',
    );
  }
  return { resourceType: type, query, post };
}

/** The resources of a searchset in the roles they have there. */
export interface SplitBundle<T extends Resource, I extends Resource> {
  /** What the search was for. */
  readonly matches: T[];
  /** What `_include` and `_revinclude` added. */
  readonly included: I[];
}

/** Splits a searchset by `entry.search.mode`; entries without one are matches, outcomes are neither. */
export function splitBundle<T extends Resource, I extends Resource = Resource>(
  bundle: Bundle<T> | Bundle,
): SplitBundle<T, I> {
  const matches: T[] = [];
  const included: I[] = [];
  for (const { resource, search: role } of objects(bundle.entry as BundleEntry[])) {
    const mode = role?.mode ?? 'match';
    if (resource && mode === 'match') {
      matches.push(resource as T);
    } else if (resource && mode === 'include') {
      included.push(resource as I);
    }
  }
  return { matches, included };
}
