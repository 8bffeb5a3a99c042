import { MedplumBadRequestError } from '../errors/response.errors';
import { isFhirId } from '../http/fhir-id';

/** Characters that mean something in a search value (FHIR R4 section 3.1.1.4.0.1). */
const SYNTAX = /[\\,|$]/g;

/** A search value whose special characters are escaped already: what {@link literal} and its kin give. */
export class SearchTerm {
  /** @internal */
  constructor(private readonly text: string) {
    Object.freeze(this);
  }

  /** As it stands in the query. */
  toString(): string {
    return this.text;
  }
}

/** Several values that all must hold: what {@link and} gives. */
export class SearchAnd {
  /** @internal */
  constructor(
    /** Each of them is a value, or a list of which one must hold. */
    readonly values: readonly (SearchValue | readonly SearchValue[])[],
  ) {
    Object.freeze(this);
  }
}

/** One value of a search parameter. Text is sent as it is: wrap what users type in {@link literal}. */
export type SearchValue = string | number | boolean | SearchTerm;

/** What a parameter of a search object may be: one value, a list (OR), or {@link and}. */
export type SearchInput = SearchValue | readonly SearchValue[] | SearchAnd;

/** A comparison (FHIR R4 section 3.1.1.4.5). */
export type SearchPrefix = 'eq' | 'ne' | 'gt' | 'lt' | 'ge' | 'le' | 'sa' | 'eb' | 'ap';

const PREFIXES: ReadonlySet<unknown> = new Set(['eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb', 'ap']);
/** FHIR R4 `date`, `dateTime` and `instant`. */
const DATE = /^\d{4}(?:-\d{2}(?:-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?)?)?$/;

function escaped(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '') {
    throw new MedplumBadRequestError(`The ${what} of a search value must be text that is not empty.`);
  }
  return value.replace(SYNTAX, String.raw`\$&`);
}

/**
 * All of `values` must hold: the parameter is repeated (FHIR R4 section 3.1.1.3).
 *
 * @example
 * ```ts
 * medplum.search('Patient', { 'address-city': and('Springfield', ['North', 'South']) });
 * ```
 * @throws MedplumBadRequestError without values.
 */
export function and(...values: readonly (SearchValue | readonly SearchValue[])[]): SearchAnd {
  if (values.length === 0) {
    throw new MedplumBadRequestError('and() needs a value: without one the search would match everything.');
  }
  return new SearchAnd(values);
}

/** `text` with nothing in it that a search would read as syntax: for what users typed. */
export function literal(text: string): SearchTerm {
  return new SearchTerm(escaped(text, 'text'));
}

/** What has a system and a code: a Coding, an Identifier, a ContactPoint. */
export interface TokenLike {
  /** Left out: any system. The empty string: codes without a system. */
  readonly system?: string | undefined;
  /** The code. */
  readonly code?: string | undefined;
  /** The value, of what has no code: an Identifier, a ContactPoint. */
  readonly value?: string | undefined;
}

/**
 * A token (FHIR R4 section 3.1.1.4.10): `token('http://loinc.org', '8867-4')`, `token(identifier)`, `token(coding)`.
 *
 * @param code left out with a system alone: any code of the system.
 * @throws MedplumBadRequestError when neither system nor code is given.
 */
export function token(system: string | TokenLike, code?: string): SearchTerm {
  const given: TokenLike = typeof system === 'object' && system !== null ? system : { system, code };
  const value = given.code ?? given.value;
  const right = value === undefined || value === null ? '' : escaped(value, 'code');
  if (given.system === undefined || given.system === null) {
    return new SearchTerm(right === '' ? escaped(undefined, 'code') : right);
  }
  if (given.system === '' && right === '') {
    throw new MedplumBadRequestError('A token needs a system or a code.');
  }
  return new SearchTerm(`${given.system === '' ? '' : escaped(given.system, 'system')}|${right}`);
}

/** Bounds of {@link dateRange}; a `Date` is sent as an instant in UTC. */
export interface DateBounds {
  /** On or after. */
  readonly ge?: string | Date;
  /** After. */
  readonly gt?: string | Date;
  /** On or before. */
  readonly le?: string | Date;
  /** Before. */
  readonly lt?: string | Date;
}

function dateText(value: string | Date): string {
  const text = value instanceof Date ? (Number.isNaN(value.getTime()) ? '' : value.toISOString()) : value;
  if (typeof text !== 'string' || !DATE.test(text)) {
    throw new MedplumBadRequestError('A date in a search must be a valid Date or an ISO date such as 2024-01-31.');
  }
  return text;
}

/**
 * A period, all bounds of which must hold: `dateRange({ ge: '2024-01-01', lt: '2025-01-01' })`. Servers up to 5.0 refuse
 * partial dates (`2024`).
 *
 * @throws MedplumBadRequestError without bounds, and for what is no date.
 */
export function dateRange(bounds: DateBounds): SearchAnd {
  const prefixes = ['ge', 'gt', 'le', 'lt'] as const;
  const terms = prefixes.flatMap((prefix) => {
    const bound = bounds[prefix];
    return bound === undefined ? [] : [new SearchTerm(prefix + dateText(bound))];
  });
  return and(...terms);
}

/**
 * A quantity (FHIR R4 section 3.1.1.4.11): `quantity('gt', 5.4, { system: 'http://unitsofmeasure.org', code: 'mg' })`.
 *
 * @throws MedplumBadRequestError for a prefix that is none, and a value that is no finite number.
 */
export function quantity(prefix: SearchPrefix, value: number, unit?: TokenLike): SearchTerm {
  if (!PREFIXES.has(prefix) || !Number.isFinite(value)) {
    throw new MedplumBadRequestError('A quantity needs a prefix such as ge and a finite number.');
  }
  const start = (prefix === 'eq' ? '' : prefix) + String(value);
  if (!unit) {
    return new SearchTerm(start);
  }
  const { system, code } = unit;
  return new SearchTerm(`${start}|${system ? escaped(system, 'system') : ''}|${escaped(code, 'code of the unit')}`);
}

/**
 * A reference to one resource: `referenceTo(patient)`, `referenceTo('Patient/123')`, `referenceTo(encounter.subject)`.
 *
 * @throws MedplumBadRequestError unless it names one resource by type and id.
 */
export function referenceTo(
  target:
    | string
    | { readonly reference?: string | undefined }
    | { readonly resourceType: string; readonly id?: string | undefined },
): SearchTerm {
  let text: unknown = target;
  if (typeof target === 'object' && target !== null) {
    text = 'resourceType' in target ? `${target.resourceType}/${target.id ?? ''}` : target.reference;
  }
  const [type = '', id, ...rest] = typeof text === 'string' ? text.split('/') : [];
  if (!/^[A-Z][A-Za-z]{1,63}$/.test(type) || !isFhirId(id) || rest.length > 0) {
    throw new MedplumBadRequestError(
      'A reference in a search must name one resource: Type/id, or the resource itself.',
    );
  }
  return new SearchTerm(`${type}/${id}`);
}
