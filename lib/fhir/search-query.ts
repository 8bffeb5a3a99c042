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

function* pairs(query: Exclude<SearchQuery, string>): Iterable<readonly [string, string]> {
  if (query instanceof URLSearchParams) {
    yield* query;
  } else if (Array.isArray(query)) {
    for (const [name, value] of query as readonly (readonly [string, SearchValue])[]) {
      yield [name, text(name, value)];
    }
  } else {
    for (const [name, value] of Object.entries(query)) {
      if (Array.isArray(value)) {
        if (value.length === 0) {
          throw new MedplumBadRequestError(
            `The search parameter ${name} has no values: leave it out, or the search would match everything.`,
          );
        }
        yield [name, value.map((item) => alternative(name, item)).join(',')];
      } else if (value !== undefined) {
        yield [name, text(name, value)];
      }
    }
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
    if (!NAME.test(name)) {
      throw new MedplumBadRequestError('A name in the search query is no FHIR search parameter.');
    }
    result.append(name, value);
  }
  return result.toString();
}
