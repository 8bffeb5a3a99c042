import type { SearchRequest } from '@medplum/core';
import { core } from './medplum-peers';
import type { SearchHit } from './search.types';

/** Matches per page: the default without `_count`, and the maximum. */
const DEFAULT_COUNT = 20;
const MAX_COUNT = 1000;
const MAX_OFFSET = 10_000;

/** One page of a search. */
export interface SearchPage {
  readonly hits: readonly SearchHit[];
  /** Number of all matches. */
  readonly total: number;
  /** The request as it was understood. The link `self` shows it. */
  readonly request: SizedRequest;
  readonly next: SearchRequest | undefined;
  readonly previous: SearchRequest | undefined;
}

/** A request whose page size is known. */
export type SizedRequest = SearchRequest & { count: number };

/**
 * Fills in the page size, and limits it.
 *
 * @throws OperationOutcomeError 400 for an offset beyond the maximum, and for an offset together with a cursor
 */
export function sizedRequest(input: SearchRequest): SizedRequest {
  const { offset = 0, count = DEFAULT_COUNT, cursor } = input;
  if (offset > MAX_OFFSET) {
    const text = `Search offset exceeds maximum (got ${offset}, max ${MAX_OFFSET})`;
    throw new core.OperationOutcomeError(core.badRequest(text));
  }
  if (offset > 0 && cursor && count > 0) {
    throw new core.OperationOutcomeError(core.badRequest('Cannot use both offset and cursor'));
  }
  return { ...input, count: count > MAX_COUNT ? MAX_COUNT : count };
}

/** Cuts one page out of all matches. */
export function cutPage(hits: readonly SearchHit[], request: SizedRequest): SearchPage {
  const { count, offset = 0 } = request;
  const common = { total: hits.length, request };
  if (!(count > 0)) {
    return { ...common, hits: [], next: undefined, previous: undefined };
  }
  const cursor = offset === 0 ? parseCursor(request.cursor) : undefined;
  const rest = cursor ? afterCursor(hits, cursor) : hits;
  const start = offset > 0 ? offset : 0;
  const page = rest.slice(start, start + count);
  const following = rest[start + count];
  if (usesCursor(request)) {
    return {
      ...common,
      hits: page,
      next: following && nextByCursor(request, page, following, cursor),
      previous: undefined,
    };
  }
  return {
    ...common,
    hits: page,
    next: following ? { ...request, offset: offset + count } : undefined,
    previous: offset > 0 ? { ...request, offset: offset - count } : undefined,
  };
}

/** The server uses cursors instead of offsets if the matches are in the order of writing. */
export function usesCursor({ sortRules = [], count, offset = 0 }: SizedRequest): boolean {
  const [rule, ...others] = sortRules;
  return (
    rule?.code === '_lastUpdated' && !rule.descending && others.length === 0 && count >= DEFAULT_COUNT && offset === 0
  );
}

/** `2-<ms since the epoch>[-<ids that an earlier page showed>]` */
interface Cursor {
  readonly from: number;
  readonly shown: readonly string[];
}

/** Anything else than a cursor is ignored. */
function parseCursor(text: string | undefined): Cursor | undefined {
  const match = /^(1|2)-(\d+)(?:-(.*))?$/.exec(text ?? '');
  if (!match || (match[1] === '1' && !match[3])) {
    return undefined;
  }
  return { from: Number(match[2]), shown: match[1] === '2' ? (match[3]?.split(',') ?? []) : [] };
}

function afterCursor(hits: readonly SearchHit[], { from, shown }: Cursor): readonly SearchHit[] {
  const known = new Set(shown);
  return hits.filter(({ version, resource }) => Date.parse(version.lastUpdated) >= from && !known.has(resource.id));
}

/**
 * A cursor is a time, so it also names the resources of that time that were shown already. Here these are all of them, on
 * the server only those of this page: it fails when a whole page was written within one millisecond.
 */
function nextByCursor(
  request: SizedRequest,
  page: readonly SearchHit[],
  { version: { lastUpdated } }: SearchHit,
  cursor: Cursor | undefined,
): SearchRequest {
  const time = Date.parse(lastUpdated);
  const ids = page.filter(({ version }) => version.lastUpdated === lastUpdated).map(({ resource }) => resource.id);
  const shown = [...(cursor?.from === time ? cursor.shown : []), ...ids];
  return { ...request, cursor: [`2-${time}`, ...(shown.length > 0 ? [shown.join(',')] : [])].join('-') };
}
