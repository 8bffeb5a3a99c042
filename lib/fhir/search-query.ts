import type { ResourceType } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownName } from '../errors/shown';
import type { SearchParameterNames } from './search-parameter-names';
import { SearchAnd, type SearchInput, SearchTerm, type SearchValue } from './search-values';

/**
 * Your project's own search parameters, by resource type. Add them by declaration merging:
 *
 * @example
 * ```ts
 * declare module 'nestjs-medplum' {
 *   interface CustomSearchParameterNames {
 *     Patient: 'eye-color';
 *   }
 * }
 * ```
 */
// oxlint-disable-next-line typescript/no-empty-interface -- merged into by consumers
export interface CustomSearchParameterNames {}

/** Parameters that every search takes: those of FHIR R4 section 3.1.1.6, and Medplum's own. */
export type CommonSearchParameter =
  | SearchParameterNames['Resource' & keyof SearchParameterNames]
  | '_compartment'
  | '_count'
  | '_cursor'
  | '_elements'
  | '_fields'
  | '_filter'
  | '_include'
  | '_offset'
  | '_project'
  | '_revinclude'
  | '_sort'
  | '_summary'
  | '_total'
  | '_type';

type Own<T, K> = K extends keyof T ? T[K] & string : never;

/** Names of the search parameters of a resource type. */
export type SearchParameterOf<K extends ResourceType> =
  Own<SearchParameterNames, K> | Own<CustomSearchParameterNames, K> | CommonSearchParameter;

/** Search parameters as an object. Names may have modifiers (`name:exact`) and chains (`subject:Patient.name`). */
export type SearchFields<K extends ResourceType = ResourceType> = ResourceType extends K
  ? { readonly [parameter: string]: SearchInput | undefined }
  : {
      readonly [
        P in
          | SearchParameterOf<K>
          | `${SearchParameterOf<K>}:${string}`
          | `${SearchParameterOf<K>}.${string}`
          | `_has:${string}`
      ]?: SearchInput | undefined;
    };

/**
 * Search parameters: a query string, `URLSearchParams`, a list of pairs, or an object. The compiler checks the names in
 * an object. In an object, an array means OR (FHIR R4 section 3.1.1.3: the values are joined by commas, and commas
 * inside a value are escaped), `and()` means AND, and a parameter that is `undefined` is left out.
 */
export type SearchQuery<K extends ResourceType = ResourceType> =
  string | URLSearchParams | readonly (readonly [string, SearchValue])[] | SearchFields<K>;

/** The form of a parameter's name, with its modifiers, chains and `_has` paths. */
const NAME = /^[A-Za-z_][\w.:-]{0,254}$/;
/** Parameters whose list of values does not mean OR: the parameter is repeated for each value. */
const REPEATED = /^_(?:rev)?include(?::|$)/;

function text(name: string, value: unknown): string {
  if (value instanceof SearchTerm) {
    return value.toString();
  }
  if (value === '') {
    throw new MedplumBadRequestError(
      `The search parameter ${shownName(name)} is empty, so the search would match everything. Give it a value, or leave it out.`,
    );
  }
  if (
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    (typeof value === 'number' && Number.isFinite(value))
  ) {
    return String(value);
  }
  throw new MedplumBadRequestError(
    `The search parameter ${shownName(name)} must be text, a finite number or a boolean.`,
  );
}

/** One value of an OR list. A bare comma would mean OR, so it is escaped (FHIR R4 section 3.1.1.4.0.1). */
function alternative(name: string, value: unknown): string {
  return value instanceof SearchTerm ? value.toString() : text(name, value).replace(/[\\,]/g, String.raw`\$&`);
}

function alternatives(name: string, values: readonly unknown[]): string {
  if (values.length === 0) {
    throw new MedplumBadRequestError(
      `The search parameter ${shownName(name)} has no values, so the search would match everything. Give it a value, or leave it out.`,
    );
  }
  return values.map((value) => alternative(name, value)).join(',');
}

function checkName(name: unknown): string {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new MedplumBadRequestError(
      'A name in the search query is not the name of a FHIR search parameter. Names are made of letters, digits and _ . : - signs.',
    );
  }
  return name;
}

/** Yields the parameter once for each condition that must hold. */
function* conditions(name: string, value: unknown): Iterable<readonly [string, string]> {
  const all = value instanceof SearchAnd ? value.values : [value];
  for (const one of REPEATED.test(name) ? all.flat() : all) {
    yield [name, Array.isArray(one) ? alternatives(name, one) : text(name, one)];
  }
}

function* pairs(query: object): Iterable<readonly [string, string]> {
  if (!(Symbol.iterator in query)) {
    for (const [given, value] of Object.entries(query)) {
      const name = checkName(given);
      if (value !== undefined) {
        yield* conditions(name, value);
      }
    }
    return;
  }
  // This may be a Map, or URLSearchParams of another realm. Read as an object, they would be empty and match
  // everything.
  for (const pair of query as Iterable<unknown>) {
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw new MedplumBadRequestError('A list of search parameters must consist of pairs of a name and a value.');
    }
    const name = checkName(pair[0]);
    yield [name, text(name, pair[1])];
  }
}

/**
 * Returns the query as it goes into a URL, without `?`. It is empty if there are no parameters.
 *
 * @throws MedplumBadRequestError when `query` has none of the forms of a query, or a parameter has an invalid name or
 * value.
 */
export function searchQuery(query: unknown): string {
  if (query === undefined) {
    return '';
  }
  if (typeof query !== 'string' && (typeof query !== 'object' || query === null)) {
    throw new MedplumBadRequestError(
      'The search query must be a query string, URLSearchParams, a list of pairs or an object.',
    );
  }
  const result = new URLSearchParams();
  for (const [name, value] of pairs(typeof query === 'string' ? new URLSearchParams(query) : query)) {
    result.append(name, value);
  }
  return result.toString();
}

/**
 * Returns the query of a conditional call.
 *
 * @throws MedplumBadRequestError when the query is invalid or empty.
 */
export function conditionQuery(query: unknown): string {
  const condition = searchQuery(query);
  if (condition === '') {
    throw new MedplumBadRequestError(
      'The conditional call has no condition, so the server could not tell which resource it is about. Pass at least one search parameter.',
    );
  }
  return condition;
}
