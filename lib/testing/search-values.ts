import type { SearchParameter } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { StoredResource } from './emulator.types';
import { core } from './medplum-peers';

/** A date as a search sees it: the stored text, and its first instant in ms since the epoch. */
export interface SearchDate {
  readonly text: string;
  readonly time: number;
}

/** The values that one search parameter has in one resource. */
export type SearchValues =
  | { readonly kind: 'string'; readonly exact: readonly string[]; readonly folded: readonly string[] }
  | {
      readonly kind: 'token';
      readonly tokens: readonly { readonly system?: string | undefined; readonly value?: string | undefined }[];
      readonly texts: readonly string[];
    }
  | { readonly kind: 'reference' | 'uri'; readonly values: readonly string[] }
  | { readonly kind: 'date'; readonly dates: readonly SearchDate[] }
  | { readonly kind: 'number'; readonly ranges: readonly (readonly [number, number])[] };

const TEXT = 'urn:display-text';

/** The values of `code` in `resource`, cached in `version`. Unknown parameters have none. */
export function searchValues(
  version: { readonly values: Map<string, SearchValues> },
  resource: StoredResource,
  code: string,
): SearchValues {
  let values = version.values.get(code);
  if (!values) {
    const parameter = core.getSearchParameter(resource.resourceType, code);
    values = parameter ? extract(resource, parameter) : { kind: 'uri', values: [] };
    version.values.set(code, values);
  }
  return values;
}

/** The keys under which an index stores a resource with these values. Only equality is indexed. */
export function indexKeys(values: SearchValues): readonly string[] {
  switch (values.kind) {
    case 'token':
      return values.tokens.flatMap(({ system, value }) =>
        value === undefined ? [] : system ? [value, `${system}|${value}`] : [value],
      );
    case 'reference':
    case 'uri':
      return values.values;
    default:
      return [];
  }
}

function extract(resource: StoredResource, parameter: SearchParameter): SearchValues {
  const found = evaluate(resource, parameter);
  switch (parameter.type) {
    case 'token': {
      const all = core.convertToSearchableTokens(found, { textSearchSystem: TEXT });
      return {
        kind: 'token',
        tokens: all.filter(({ system }) => system !== TEXT),
        texts: all.flatMap(({ system, value }) => (system === TEXT && value ? [value.toLowerCase()] : [])),
      };
    }
    case 'reference':
      return { kind: 'reference', values: core.convertToSearchableReferences(found) };
    case 'date':
      return { kind: 'date', dates: found.flatMap(({ value }) => toDate(value)) };
    case 'number':
      return {
        kind: 'number',
        ranges: core
          .convertToSearchableNumbers(found)
          .map(([low, high]) => [low ?? Number.NEGATIVE_INFINITY, high ?? Number.POSITIVE_INFINITY] as const),
      };
    case 'quantity':
      return {
        kind: 'number',
        ranges: core
          .convertToSearchableQuantities(found)
          .flatMap(({ value }) => (value === undefined ? [] : [[value, value] as const])),
      };
    case 'uri':
      return { kind: 'uri', values: core.convertToSearchableUris(found) };
    default: {
      const exact = core.convertToSearchableStrings(found);
      return { kind: 'string', exact, folded: exact.map((text) => text.toLowerCase()) };
    }
  }
}

function evaluate(resource: StoredResource, parameter: SearchParameter): ReturnType<typeof core.evalFhirPathTyped> {
  try {
    const { parsedExpression } = core.getSearchParameterDetails(resource.resourceType, parameter);
    return core.evalFhirPathTyped(parsedExpression, [core.toTypedValue(resource)]);
  } catch {
    // A few parameters of the definitions have expressions that Medplum's FHIRPath cannot evaluate.
    return [];
  }
}

function toDate(value: unknown): SearchDate[] {
  if (typeof value === 'string') {
    const time = Date.parse(value);
    return Number.isNaN(time) ? [] : [{ text: value, time }];
  }
  if (value && typeof value === 'object') {
    const { start, end, event } = value as { start?: unknown; end?: unknown; event?: unknown };
    return toDate(start ?? end ?? (Array.isArray(event) ? event[0] : undefined));
  }
  return [];
}
