import type { Filter, Operator, SearchRequest } from '@medplum/core';
import type { SearchParameter } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { core } from './medplum-peers';
import { findParameter } from './search-values';

/** A query as the router parses it. */
export type SearchQuery = Readonly<Record<string, string | string[] | undefined>>;

/** `YYYY[-MM[-DD[Thh:mm:ss]]]` and so on, as the recorded server accepts it. It does not look whether the day exists. */
const DATE_TIME =
  /^(\d(\d(\d[1-9]|[1-9]0)|[1-9]00)|[1-9]000)(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2]\d|3[0-1])(T([01]\d|2[0-3])(:[0-5]\d:([0-5]\d|60)(\.\d{1,9})?)?)?)?(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00)?)?)?$/;

const PREFIXES = new Set<string>(['eq', 'ne', 'lt', 'le', 'gt', 'ge', 'sa', 'eb', 'ap', 'sw']);

const MODIFIERS = new Set<string>([
  'contains',
  'exact',
  'above',
  'below',
  'text',
  'not',
  'in',
  'not-in',
  'of-type',
  'missing',
  'identifier',
  'iterate',
]);

/**
 * Parses a query. `@medplum/core` parses each parameter for itself, because its newer releases drop repeated filters, which
 * the recorded server keeps, and refuse dates that it accepts.
 *
 * @throws OperationOutcomeError 400 for values that the server refuses
 */
export function parseQuery(resourceType: string, query: SearchQuery | undefined): SearchRequest {
  const request = { resourceType } as SearchRequest;
  for (const [key, values] of Object.entries(query ?? {})) {
    for (const value of [values ?? ''].flat()) {
      mergeRequest(request, parsePair(resourceType, key, textOf(key, value)));
    }
  }
  return request;
}

/** The values of a JSON body need not be texts. Only `_count` and the like may be numbers. */
function textOf(key: string, value: string): string {
  const given: unknown = value;
  const isControl = /^_(count|offset|pretty|total)$/.test(key);
  if (typeof given !== 'string' && !isControl) {
    throw new core.OperationOutcomeError(core.badRequest('Search filter value must be a string'));
  }
  return value;
}

/** Parses `Type?a=b`, as in criteria and conditional references. */
export function parseCriteria(criteria: string): SearchRequest {
  const mark = criteria.indexOf('?');
  const path = mark < 0 ? criteria : criteria.slice(0, mark);
  const request = { resourceType: path.split('/').findLast(Boolean) ?? '' } as SearchRequest;
  for (const [key, value] of new URLSearchParams(mark < 0 ? '' : criteria.slice(mark + 1))) {
    mergeRequest(request, parsePair(request.resourceType, key, value));
  }
  return request;
}

function parsePair(resourceType: string, key: string, value: string): Partial<SearchRequest> {
  if (key === '_id') {
    // In a search of several types, @medplum/core takes an id that begins with "eb" for a prefix and the rest of an id.
    return { filters: [{ code: key, operator: 'eq', value }] };
  }
  const colon = key.indexOf(':');
  const code = colon < 0 ? key : key.slice(0, colon);
  const isControl = code.startsWith('_') && code !== '_lastUpdated';
  const parameter = isControl || key.includes('.') ? undefined : findParameter(resourceType, code);
  return parameter
    ? { filters: [parameterFilter(parameter, colon < 0 ? '' : key.slice(colon + 1), value)] }
    : core.parseSearchRequest(resourceType, { [key]: value });
}

/** Adds what one parameter says. Filters, includes and sort rules add up; of the rest, the last value counts. */
function mergeRequest(
  request: SearchRequest,
  { filters, include, revInclude, sortRules, ...rest }: Partial<SearchRequest>,
): void {
  Object.assign(request, rest, {
    ...(filters && { filters: [...(request.filters ?? []), ...filters] }),
    ...(include && { include: [...(request.include ?? []), ...include] }),
    ...(revInclude && { revInclude: [...(request.revInclude ?? []), ...revInclude] }),
    ...(sortRules && { sortRules: [...(request.sortRules ?? []), ...sortRules] }),
  });
}

/**
 * The filter for one parameter. Dates, numbers and quantities may have a prefix.
 *
 * @throws OperationOutcomeError 400 for a malformed date, and for composite and special parameters
 */
export function parameterFilter({ code, type }: SearchParameter, modifier: string, value: string): Filter {
  if (modifier === 'missing' || modifier === 'present') {
    return { code, operator: modifier, value };
  }
  switch (type) {
    case 'number':
    case 'date':
    case 'quantity': {
      const hasPrefix = PREFIXES.has(value.slice(0, 2));
      const searched = hasPrefix ? value.slice(2) : value;
      if (type === 'date' && !DATE_TIME.test(searched)) {
        throw new core.OperationOutcomeError(core.badRequest(`Invalid format for date search parameter: ${searched}`));
      }
      return { code, operator: (hasPrefix ? value.slice(0, 2) : modifier || 'eq') as Operator, value: searched };
    }
    case 'reference':
    case 'string':
    case 'token':
    case 'uri':
      return { code, operator: (MODIFIERS.has(modifier) ? modifier : 'eq') as Operator, value };
    default:
      throw new core.OperationOutcomeError(core.badRequest(`Unrecognized search parameter type: ${type}`));
  }
}
