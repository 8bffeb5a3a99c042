import type { Bundle, BundleEntry, Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError, MedplumProtocolError } from '../errors/response.errors';
import { type BaseUrl, pathWithin } from '../shared/base-url';
import { objects } from '../shared/objects';
import { RESOURCE_TYPE } from '../shared/fhir-id';
import type { FhirRequest } from './fhir-request';
import { ACCEPT, INTERACTIONS, onType, ROOT } from './interactions';
import { checkResourceType, checkResourceTypes } from './path-segments';
import type { ResourceArray } from './resource.types';
import { searchQuery } from './search-query';

/**
 * Longest query that goes into a URL, in characters; longer ones are POSTed. Medplum answers 431 when the URL and the
 * headers exceed 16 KB, and many proxies allow no more than 8 KB.
 */
const LONGEST_IN_URL = 4_000;

/** The path and query of a search in one type, below the base URL. */
const SEARCH_PATH = new RegExp(`^fhir/R4/(${RESOURCE_TYPE})(?:/_search)?\\?(.+)$`);

/** A search: what it looks for, and how it is sent. */
export interface SearchTarget {
  /** The resource type; `undefined` for a search in several types, which the query lists in `_type`. */
  readonly resourceType: string | undefined;
  /** Encoded query without `?`. */
  readonly query: string;
  /** Sends the query as a form, which keeps it out of URLs and their logs. */
  readonly post: boolean;
}

/**
 * Describes a search in one resource type.
 *
 * @param post whether to POST the query. Default: only if it is too long for a URL.
 * @param count replaces `_count` of the query.
 * @throws MedplumBadRequestError when the type or the query is invalid.
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
    return {
      ...INTERACTIONS.searchTypes,
      path: ROOT,
      query,
      headers: ACCEPT,
      repeatability: 'safe',
      expects: 'bundle',
    };
  }
  const request = onType(INTERACTIONS.search, resourceType);
  if (!post) {
    return { ...request, query, headers: ACCEPT, repeatability: 'safe', expects: 'bundle' };
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
    expects: 'bundle',
  };
}

/** The request of a search in one resource type; see {@link searchTarget} for the arguments. */
export function search(type: string, query: unknown, count?: number, post?: boolean): FhirRequest {
  return searchRequest(searchTarget(type, query, post, count));
}

/** GET of the root with `_type`: the response holds resources of several types. */
export function searchTypes(types: readonly string[], query: unknown): FhirRequest {
  const checkedTypes = checkResourceTypes(types, 'types of a search');
  const parameters = new URLSearchParams(searchQuery(query));
  parameters.set('_type', checkedTypes.join(','));
  const text = parameters.toString();
  if (text.length > LONGEST_IN_URL) {
    throw new MedplumBadRequestError(
      'The query is too long for a URL, and a search in several types cannot be POSTed. Shorten it, or search in each type.',
    );
  }
  return searchRequest({ resourceType: undefined, query: text, post: false });
}

/**
 * Returns the page after `bundle`, or `undefined` if it is the last one. A search that began with POST continues with
 * POST, because following the link would put the query into a URL.
 *
 * @throws MedplumProtocolError when the link leads to anything but this search on the client's server.
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
  const [, type, query] = SEARCH_PATH.exec(path ?? '') ?? [];
  if (type === undefined || query === undefined || (resourceType !== undefined && type !== resourceType)) {
    throw new MedplumProtocolError(
      'The link to the next page leads away from this search on the Medplum server of this client, so it was not followed. If your server uses another address for itself, set the option publicUrl.',
    );
  }
  return { resourceType: type, query, post };
}

/** The resources of a searchset, by the role they have in it. */
export interface SplitBundle<T extends Resource, I extends Resource> {
  /** The resources that match the search. */
  readonly matches: T[];
  /** The resources that `_include` and `_revinclude` added. */
  readonly included: I[];
}

/** Splits a searchset by `entry.search.mode`. Entries without a mode are matches, and outcomes are left out. */
export function splitBundle<T extends Resource, I extends Resource = Resource>(
  bundle: Bundle<T> | Bundle,
): SplitBundle<T, I> {
  const matches: T[] = [];
  const included: I[] = [];
  for (const { resource, search: role } of objects(bundle.entry as BundleEntry[])) {
    const mode = role?.mode ?? 'match';
    if (typeof resource !== 'object' || resource === null) {
      continue;
    }
    if (mode === 'match') {
      matches.push(resource as T);
    } else if (mode === 'include') {
      included.push(resource as I);
    }
  }
  return { matches, included };
}

/** The matches of a search; `bundle` has the whole response. */
export function resourceArray<T extends Resource>(bundle: Bundle<T>): ResourceArray<T> {
  return Object.defineProperty(splitBundle<T>(bundle).matches, 'bundle', { value: bundle }) as ResourceArray<T>;
}
