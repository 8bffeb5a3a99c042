import type { ResourceType } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownName } from '../errors/shown';
import type { SearchParameterNames } from './search-parameter-names';
import { SearchAnd, type SearchInput, SearchTerm, type SearchValue } from './search-values';

/**
 * Search parameters of a project's own, by resource type. Add yours by declaration merging:
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

/** Parameters of every search (FHIR R4 section 3.1.1.6, and Medplum's own). */
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

/** An object of search parameters; names of one type may have modifiers (`name:exact`) and chains (`subject:Patient.name`). */
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
 * Search parameters: a query string, `URLSearchParams`, pairs, or an object. In an object the names are checked by the
 * compiler, an array means OR (FHIR R4 section 3.1.1.3: joined by commas, commas inside a value escaped), `and()` means
 * AND, and `undefined` leaves the parameter out.
 */
export type SearchQuery<K extends ResourceType = ResourceType> =
  string | URLSearchParams | readonly (readonly [string, SearchValue])[] | SearchFields<K>;

/** Letters, digits and `_`, then modifiers, chains and `_has` paths. */
const NAME = /^[A-Za-z_][\w.:-]{0,254}$/;
/** Parameters whose values are never alternatives: each stands for itself, and the parameter is repeated. */
const REPEATED = /^_(?:rev)?include(?::|$)/;

function text(name: string, value: unknown): string {
  if (value instanceof SearchTerm) {
    return value.toString();
  }
  if (value === '') {
    throw new MedplumBadRequestError(
      `The search parameter ${shownName(name)} is empty: leave it out, or the search would match everything.`,
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

/** FHIR R4 section 3.1.1.4.0.1: a comma in a value is escaped, or it would mean OR; so is the escape itself. */
function alternative(name: string, value: unknown): string {
  return value instanceof SearchTerm ? value.toString() : text(name, value).replace(/[\\,]/g, String.raw`\$&`);
}

function alternatives(name: string, values: readonly unknown[]): string {
  if (values.length === 0) {
    throw new MedplumBadRequestError(
      `The search parameter ${shownName(name)} has no values: leave it out, or the search would match everything.`,
    );
  }
  return values.map((value) => alternative(name, value)).join(',');
}

function checkName(name: unknown): string {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new MedplumBadRequestError('A name in the search query is no FHIR search parameter.');
  }
  return name;
}

/** The values of one parameter, each of which must hold. */
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
  // A Map, or the URLSearchParams of another realm: read as an object they would be empty, and match everything.
  for (const pair of query as Iterable<unknown>) {
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw new MedplumBadRequestError('A list of search parameters must consist of pairs of a name and a value.');
    }
    const name = checkName(pair[0]);
    yield [name, text(name, pair[1])];
  }
}

/**
 * The query as it stands in a URL, without `?`; empty when there are no parameters.
 *
 * @throws MedplumBadRequestError for what is no query, a parameter name that is none, or a value that is no text.
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
