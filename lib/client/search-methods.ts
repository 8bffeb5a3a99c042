import type { Bundle, Resource, ResourceType } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { INTERACTIONS } from '../fhir/interactions';
import type { ResourceArray, ResourceOf } from '../fhir/resource.types';
import { search, searchTypes, type SplitBundle, splitBundle } from '../fhir/search';
import type { SearchQuery } from '../fhir/search-query';
import type { MedplumRequestOptions } from '../medplum-request.options';
import type { MedplumIterateOptions, MedplumPageOptions, MedplumSearchOptions } from './client.options';
import { MedplumResourceMethods } from './resource-methods';
import { iterated, pagesOf } from './search-pages';

const FURTHER = ['post'];

/** What a search with includes found. */
export interface SearchResult<T extends Resource, I extends Resource = Resource> extends SplitBundle<T, I> {
  /** How many match on all pages, when the query asked for it (`_total: 'accurate'`). */
  readonly total?: number;
  /** The answer as it is. */
  readonly bundle: Bundle;
}

/** Searching. */
export abstract class MedplumSearchMethods extends MedplumResourceMethods {
  /** Searches, and returns the bundle as it is: one page (20 unless `_count` says otherwise), included resources as well. */
  search<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery<K>,
    options: MedplumSearchOptions = {},
  ): Promise<Bundle<ResourceOf<K>>> {
    return this.#search(resourceType, query, options);
  }

  /** The first match of a search, `undefined` when there is none. */
  async searchOne<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery<K>,
    options: MedplumSearchOptions = {},
  ): Promise<ResourceOf<K> | undefined> {
    const bundle = await this.#search<Bundle<ResourceOf<K>>>(resourceType, query, options, 1);
    return splitBundle<ResourceOf<K>>(bundle).matches[0];
  }

  /** The matches of a search: one page (20 unless `_count` says otherwise). What was included stands in `bundle` only. */
  async searchResources<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery<K>,
    options: MedplumSearchOptions = {},
  ): Promise<ResourceArray<ResourceOf<K>>> {
    return resourceArray(await this.#search<Bundle<ResourceOf<K>>>(resourceType, query, options));
  }

  /**
   * One page of a search with `_include` or `_revinclude`, split into what was searched for and what came along.
   *
   * @typeParam I types of the included resources, as the caller knows them.
   */
  async searchWithIncludes<K extends ResourceType, I extends Resource = Resource>(
    resourceType: K,
    query: SearchQuery<K>,
    options: MedplumSearchOptions = {},
  ): Promise<SearchResult<ResourceOf<K>, I>> {
    const bundle = await this.#search<Bundle<ResourceOf<K>>>(resourceType, query, options);
    const { total } = bundle;
    return { ...splitBundle<ResourceOf<K>, I>(bundle), ...(total === undefined ? {} : { total }), bundle };
  }

  /**
   * The pages of a search, each when it is asked for. All of them are read for the identity of the moment when this method
   * is called, wherever the pages are consumed. Without `_count` pages have 1,000 resources. Medplum ends pages by offset
   * after 10,000 resources; `_sort: '_lastUpdated'` goes on beyond.
   *
   * The iteration rejects with MedplumProtocolError when a link leads to another server, to another search or back to a
   * page that was read, and after `maxPages` pages.
   */
  searchResourcePages<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery<K>,
    options: MedplumPageOptions = {},
  ): AsyncIterableIterator<ResourceArray<ResourceOf<K>>> {
    const call = this.calls.pin(options, { further: [...FURTHER, 'maxPages'] });
    return iterated(pagesOf<ResourceOf<K>>(call, this.calls.baseUrl, resourceType, query, options), (bundle) => [
      resourceArray(bundle),
    ]);
  }

  /**
   * The matches of a search, page by page as they are asked for; otherwise as
   * {@link MedplumSearchMethods.searchResourcePages}.
   *
   * @example
   * ```ts
   * for await (const patient of medplum.iterateResources('Patient', { active: true }, { maxResources: 500 })) …
   * ```
   */
  iterateResources<K extends ResourceType>(
    resourceType: K,
    query?: SearchQuery<K>,
    options: MedplumIterateOptions = {},
  ): AsyncIterableIterator<ResourceOf<K>> {
    const call = this.calls.pin(options, { further: [...FURTHER, 'maxPages', 'maxResources'] });
    return iterated(
      pagesOf<ResourceOf<K>>(call, this.calls.baseUrl, resourceType, query, options),
      (bundle) => splitBundle<ResourceOf<K>>(bundle).matches,
      options.maxResources,
    );
  }

  /**
   * Searches in several resource types at once (one page). Every type must be granted to the identity.
   *
   * @throws MedplumForbiddenError when one of the types is not granted.
   */
  searchTypes<K extends ResourceType>(
    resourceTypes: readonly K[],
    query?: SearchQuery<K>,
    options: MedplumRequestOptions = {},
  ): Promise<Bundle<ResourceOf<K>>> {
    return this.calls.request(INTERACTIONS.searchTypes, () => searchTypes(resourceTypes, query), options);
  }

  #search<T>(type: string, query: unknown, options: MedplumSearchOptions, count?: number): Promise<T> {
    const describe = () => search(type, query, count, options.post);
    return this.calls.request(INTERACTIONS.search, describe, options, { further: FURTHER });
  }
}

function resourceArray<T extends Resource>(bundle: Bundle<T>): ResourceArray<T> {
  return Object.defineProperty(splitBundle<T>(bundle).matches, 'bundle', { value: bundle }) as ResourceArray<T>;
}
