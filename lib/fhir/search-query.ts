import { MedplumBadRequestError } from '../errors/response.errors';

/** One value of a search parameter. */
export type SearchValue = string | number | boolean;

/**
 * Search parameters: a query string, `URLSearchParams`, pairs, or an object. In an object an array means OR (FHIR R4
 * section 3.1.1.3: joined by commas, commas inside a value escaped) and `undefined` leaves the parameter out.
 */
export type SearchQuery =
  | string
  | URLSearchParams
  | readonly (readonly [string, SearchValue])[]
  | { readonly [parameter: string]: SearchValue | readonly SearchValue[] | undefined };

/** Letters, digits and `_`, then modifiers, chains and `_has` paths. */
const NAME = /^[A-Za-z_][\w.:-]*$/;

function text(name: string, value: unknown): string {
  if (
    typeof value === 'string' ||
    typeof value === 'boolean' ||
    (typeof value === 'number' && Number.isFinite(value))
  ) {
    return String(value);
  }
  throw new MedplumBadRequestError(`The search parameter ${name} must be text, a finite number or a boolean.`);
}

/** FHIR R4 section 3.1.1.4.0.1: a comma in a value is escaped, or it would mean OR; so is the escape itself. */
function alternative(name: string, value: unknown): string {
  return text(name, value).replace(/[\\,]/g, String.raw`\$&`);
}

function alternatives(name: string, values: readonly unknown[]): string {
  if (values.length === 0) {
    throw new MedplumBadRequestError(
      `The search parameter ${name} has no values: leave it out, or the search would match everything.`,
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

function* pairs(query: Exclude<SearchQuery, string>): Iterable<readonly [string, string]> {
  if (!(Symbol.iterator in query)) {
    for (const [given, value] of Object.entries(query)) {
      const name = checkName(given);
      if (value !== undefined) {
        yield [name, Array.isArray(value) ? alternatives(name, value) : text(name, value)];
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
export function searchQuery(query: SearchQuery | undefined): string {
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
