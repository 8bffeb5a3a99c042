import type { Address, HumanName, SearchParameter } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { parameterShape, type ParameterShape } from './search-parameter';
import { addressRows, nameRows, type WordRow } from './word-rows';

/** A token as the server indexes it. */
export interface SearchToken {
  readonly system?: string | undefined;
  readonly value?: string | undefined;
}

/** The values that one search parameter has in one resource. */
export type SearchValues =
  | { readonly kind: 'token'; readonly tokens: readonly SearchToken[]; readonly texts: readonly string[] }
  /** One text per name or address; `undefined` for one that lacks this part. */
  | { readonly kind: 'words'; readonly rows: readonly WordRow[] }
  /** References, codes, URIs and strings. */
  | { readonly kind: 'text'; readonly values: readonly string[] }
  | { readonly kind: 'boolean'; readonly value: boolean | undefined }
  /** Numbers and quantities; instants are in ms since the epoch. */
  | { readonly kind: 'number'; readonly values: readonly number[] }
  /** Days as `YYYY-MM-DD`. */
  | { readonly kind: 'day'; readonly values: readonly string[] }
  /** From and to, in ms since the epoch. */
  | { readonly kind: 'period'; readonly values: readonly (readonly [number, number])[] };

const TEXT = 'urn:display-text';
const NOTHING: SearchValues = { kind: 'text', values: [] };

/** The values of `code` in `resource`, cached in `version`. Unknown parameters have none. */
export function searchValues(
  version: { readonly values: Map<string, SearchValues> },
  resource: StoredResource,
  code: string,
): SearchValues {
  let values = version.values.get(code);
  if (!values) {
    const parameter = findParameter(resource.resourceType, code);
    values = parameter ? extract(resource, parameter) : NOTHING;
    version.values.set(code, values);
  }
  return values;
}

/** A search parameter by its code; `subject:identifier` is derived from `subject`. */
export function findParameter(resourceType: string, code: string): SearchParameter | undefined {
  const base = code.endsWith(':identifier') ? code.slice(0, -':identifier'.length) : code;
  const parameter = core.getSearchParameter(resourceType, base);
  return parameter && base !== code ? core.deriveIdentifierSearchParameter(parameter) : parameter;
}

/** The keys under which an index stores a resource with these values. Only equality is indexed. */
export function indexKeys(values: SearchValues): readonly string[] {
  switch (values.kind) {
    case 'token':
      return values.tokens.flatMap(({ system, value }) =>
        value === undefined ? [] : system ? [value, `${system}|${value}`] : [value],
      );
    case 'text':
      return values.values;
    default:
      return [];
  }
}

function extract(resource: StoredResource, parameter: SearchParameter): SearchValues {
  if (parameter.code === '_compartment') {
    // The server stores only the ids of compartments.
    const ids = (resource.meta.compartment ?? []).map(({ reference }) => reference?.split('/').pop() ?? '');
    return { kind: 'text', values: ids };
  }
  if (parameter.code === '_project') {
    return { kind: 'text', values: resource.meta.project === undefined ? [] : [resource.meta.project] };
  }
  const shape = parameterShape(resource.resourceType, parameter);
  switch (shape.strategy) {
    case 'token':
      return extractTokens(resource, parameter);
    case 'words':
      return { kind: 'words', rows: extractRows(resource, parameter.code) };
    default:
      return extractColumn(evaluate(resource, parameter), parameter, shape);
  }
}

function extractTokens(resource: StoredResource, parameter: SearchParameter): SearchValues {
  const { ignoresCase, searchesValues } = parameterShape(resource.resourceType, parameter);
  const found = core.convertToSearchableTokens(evaluate(resource, parameter), {
    textSearchSystem: TEXT,
    caseInsensitive: ignoresCase,
  });
  const all = found.map(({ system, value }) => ({ system: system?.trim(), value: value?.trim() }));
  return {
    kind: 'token',
    // The server finds a resource by the text of a concept as if it were a code without a system.
    tokens: all.map(({ system, value }) => (system === TEXT ? { system: TEXT, value } : { system, value })),
    texts: all.flatMap(({ system, value }) =>
      value && (system === TEXT || searchesValues) ? [value.toLowerCase()] : [],
    ),
  };
}

/** Whether the token is the text of a concept or the display of a coding. */
export function isTextToken({ system }: SearchToken): boolean {
  return system === TEXT;
}

function extractRows(resource: StoredResource, code: string): readonly WordRow[] {
  if (code === 'name' || code === 'given' || code === 'family') {
    return nameRows((resource as { name?: HumanName[] }).name ?? [], code);
  }
  const { address, contact } = resource as { address?: Address | Address[]; contact?: { address?: Address }[] };
  const addresses =
    resource.resourceType === 'InsurancePlan' ? (contact ?? []).map((entry) => entry.address) : [address].flat();
  return addressRows(addresses, code);
}

function extractColumn(
  found: ReturnType<typeof core.evalFhirPathTyped>,
  { type }: SearchParameter,
  { column, isArray }: ParameterShape,
): SearchValues {
  const kept = <T>(values: readonly T[]): readonly T[] => (isArray ? values : values.slice(0, 1));
  switch (column) {
    case 'boolean': {
      const value: unknown = found[0]?.value;
      return {
        kind: 'boolean',
        value: value === undefined || value === null ? undefined : value === true || value === 'true',
      };
    }
    case 'day':
      return { kind: 'day', values: kept(periodsOf(found).map(({ start, end }) => (start ?? end ?? '').slice(0, 10))) };
    case 'instant':
      return { kind: 'number', values: kept(periodsOf(found).map(({ start, end }) => Date.parse(start ?? end ?? ''))) };
    case 'period':
      return {
        kind: 'period',
        values: periodsOf(found)
          .slice(0, 1)
          .map(({ start, end }) => [start ? Date.parse(start) : -Infinity, end ? Date.parse(end) : Infinity] as const),
      };
    case 'number':
      return { kind: 'number', values: kept(type === 'number' ? numbersOf(found) : quantitiesOf(found)) };
    case 'reference':
      return { kind: 'text', values: kept(core.convertToSearchableReferences(found)) };
    case 'string':
      return { kind: 'text', values: kept(core.convertToSearchableStrings(found)) };
    case 'code':
      return { kind: 'text', values: kept(type === 'uri' ? core.convertToSearchableUris(found) : codesOf(found)) };
    default:
      return NOTHING;
  }
}

type Found = ReturnType<typeof core.evalFhirPathTyped>;

function periodsOf(found: Found): { start?: string; end?: string }[] {
  return core.convertToSearchableDates(found).filter(({ start, end }) => start ?? end);
}

function numbersOf(found: Found): number[] {
  return core.convertToSearchableNumbers(found).flatMap(([low, high]) => low ?? high ?? []);
}

function quantitiesOf(found: Found): number[] {
  return core.convertToSearchableQuantities(found).flatMap(({ value }) => value ?? []);
}

function codesOf(found: Found): string[] {
  return core.convertToSearchableTokens(found).flatMap(({ value }) => value || []);
}

function evaluate(resource: StoredResource, parameter: SearchParameter): Found {
  try {
    const { parsedExpression } = core.getSearchParameterDetails(resource.resourceType, parameter);
    return core.evalFhirPathTyped(parsedExpression, [core.toTypedValue(resource)]);
  } catch {
    // A few parameters of the definitions have expressions that Medplum's FHIRPath cannot evaluate.
    return [];
  }
}
