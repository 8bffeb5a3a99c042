import type { Bundle, Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError, MedplumProtocolError } from '../errors/response.errors';
import { INTERACTIONS } from '../fhir/interactions';
import { nextPage, searchRequest, type SearchTarget, searchTarget } from '../fhir/search';
import type { BaseUrl } from '../shared/base-url';
import type { Call } from '../calls/call';
import type { MedplumIterateOptions } from './client.options';

const MOST_PAGES = 1_000;
/** The largest page that Medplum returns. */
const LARGEST_PAGE = 1_000;

/** The search for the first page. Without `_count` it asks for as much as a page can hold, or as the caller wants. */
function firstPage(
  type: string,
  query: unknown,
  { post, maxPages, maxResources }: MedplumIterateOptions,
): SearchTarget {
  for (const limit of [maxPages, maxResources]) {
    if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0)) {
      throw new MedplumBadRequestError('maxPages and maxResources must be whole numbers, 1 or more.');
    }
  }
  const target = searchTarget(type, query, post);
  if (new URLSearchParams(target.query).has('_count')) {
    return target;
  }
  return searchTarget(type, target.query, target.post, Math.min(LARGEST_PAGE, maxResources ?? LARGEST_PAGE));
}

/** The pages of a search. Each is requested when it is pulled, all of them in one call. */
export async function* pagesOf<T extends Resource>(
  call: Call,
  base: BaseUrl,
  type: string,
  query: unknown,
  options: MedplumIterateOptions,
): AsyncGenerator<Bundle<T>, undefined> {
  const seen = new Set<string>();
  let target: SearchTarget | undefined;
  for (;;) {
    const bundle = await call.body(INTERACTIONS.search, () =>
      searchRequest((target ??= firstPage(type, query, options))),
    );
    yield bundle as Bundle<T>;
    // The request set it.
    const read = target as SearchTarget;
    seen.add(read.query);
    target = nextPage(bundle as Bundle, read, base);
    if (!target) {
      return undefined;
    }
    if (seen.has(target.query)) {
      throw new MedplumProtocolError(
        'The pages of the search go round in a circle: a link leads to a page that was read.',
      );
    }
    if (seen.size >= (options.maxPages ?? MOST_PAGES)) {
      throw new MedplumProtocolError('The search has more pages than maxPages allows.');
    }
  }
}

/** The content of each page, one item after the other, at most `limit` items. */
export async function* iterated<P, T>(
  pages: AsyncGenerator<P, undefined>,
  content: (page: P) => readonly T[],
  limit: number = Infinity,
): AsyncGenerator<T, undefined> {
  let given = 0;
  for await (const page of pages) {
    for (const item of content(page)) {
      yield item;
      if (++given >= limit) {
        return undefined;
      }
    }
  }
  return undefined;
}
