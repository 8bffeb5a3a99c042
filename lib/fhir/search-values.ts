import { MedplumBadRequestError } from '../errors/response.errors';
import { isTypedReference } from './path-segments';

/** Characters with a meaning in a search value (FHIR R4 section 3.1.1.4.0.1). */
const SYNTAX = /[\\,|$]/g;

/**
 * A search value whose special characters are already escaped. {@link literal}, {@link token}, {@link quantity} and
 * {@link referenceTo} return it.
 */
export class SearchTerm {
  /** @internal */
  constructor(private readonly text: string) {
    Object.freeze(this);
  }

  /** Returns the value as it goes into the query, before URL encoding. */
  toString(): string {
    return this.text;
  }
}

/** Several values that must all match. {@link and} and {@link dateRange} return it. */
export class SearchAnd {
  /** @internal */
  constructor(
    /** Each item is one value, or a list of values of which one must match. */
    readonly values: readonly (SearchValue | readonly SearchValue[])[],
  ) {
    Object.freeze(this);
  }
}

/** One value of a search parameter. Text may contain search syntax: wrap text that users typed in {@link literal}. */
export type SearchValue = string | number | boolean | SearchTerm;

/** The value of a parameter in a search object: a single value, a list (OR), or {@link and}. */
export type SearchInput = SearchValue | readonly SearchValue[] | SearchAnd;

/** The prefix of a comparison (FHIR R4 section 3.1.1.4.5). */
export type SearchPrefix = 'eq' | 'ne' | 'gt' | 'lt' | 'ge' | 'le' | 'sa' | 'eb' | 'ap';

const PREFIXES: ReadonlySet<unknown> = new Set(['eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb', 'ap']);
/** The forms of FHIR R4 `date`, `dateTime` and `instant`. */
const DATE =
  /^\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01])(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?)?)?$/;

function escaped(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '') {
    throw new MedplumBadRequestError(`The ${what} of a search value must be a string that is not empty.`);
  }
  return value.replace(SYNTAX, String.raw`\$&`);
}

/**
 * Finds resources that match all of `values`, by repeating the parameter (FHIR R4 section 3.1.1.3).
 *
 * @example
 * ```ts
 * medplum.search('Patient', { 'address-city': and('Springfield', ['North', 'South']) });
 * ```
 * @throws MedplumBadRequestError when there are no values.
 */
export function and(...values: readonly (SearchValue | readonly SearchValue[])[]): SearchAnd {
  if (values.length === 0) {
    throw new MedplumBadRequestError(
      'and() and dateRange() need at least one value. Without one, the search would match everything.',
    );
  }
  return new SearchAnd(values);
}

/**
 * Escapes text, so that the search reads none of it as syntax. Use it for text that users typed.
 *
 * @throws MedplumBadRequestError unless `text` is a string that is not empty.
 */
export function literal(text: string): SearchTerm {
  return new SearchTerm(escaped(text, 'text'));
}

/** A system with a code or a value: a Coding, an Identifier or a ContactPoint. */
export interface TokenLike {
  /** The system. Leave it out for any system; the empty string finds codes without a system. */
  readonly system?: string | undefined;
  /** The code. */
  readonly code?: string | undefined;
  /** The value of an Identifier or a ContactPoint, which have no code. */
  readonly value?: string | undefined;
}

/**
 * Makes a token (FHIR R4 section 3.1.1.4.10): `token('http://loinc.org', '8867-4')`, `token(identifier)`,
 * `token(coding)`.
 *
 * @param code the code. Leave it out to find every code of the system.
 * @throws MedplumBadRequestError when there is neither a system nor a code.
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

/** Bounds of {@link dateRange}. A `Date` is sent as an instant in UTC. */
export interface DateBounds {
  /** On or after; for a year, month or day: from its beginning. */
  readonly ge?: string | Date;
  /** After; for a year, month or day: after its end. */
  readonly gt?: string | Date;
  /** On or before; for a year, month or day: until its end. */
  readonly le?: string | Date;
  /** Before; for a year, month or day: before its beginning. */
  readonly lt?: string | Date;
}

function dateText(value: string | Date): string {
  const text = value instanceof Date ? (Number.isNaN(value.getTime()) ? '' : value.toISOString()) : value;
  if (typeof text !== 'string' || !DATE.test(text) || !isDay(text.slice(0, 10))) {
    throw new MedplumBadRequestError('A date in a search must be a valid Date or an ISO date such as 2024-01-31.');
  }
  return text;
}

/** Whether the calendar has the day; `true` for a year and a month. `Date` reads February 30 as a day of March. */
function isDay(text: string): boolean {
  return text.length < 10 || new Date(`${text}T00:00:00Z`).toISOString().startsWith(text);
}

/** A year, a month or a day, and a time without seconds. */
const PERIOD = /^(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?$/;
const MINUTES = /^(.*T\d{2}:\d{2})(Z|[+-]\d{2}:\d{2})?$/;

/** FHIR writes years with four digits. */
const LAST_YEAR = 9999;

/** The day after a period, as a date; `undefined` after the last one that FHIR can write. */
function dayAfter([, year, month, day]: RegExpExecArray): string | undefined {
  const [y, m, d] = [Number(year), Number(month ?? 1) - 1, Number(day ?? 1)];
  const next = new Date(0);
  next.setUTCFullYear(
    y + (month === undefined ? 1 : 0),
    m + (month !== undefined && day === undefined ? 1 : 0),
    d + (day === undefined ? 0 : 1),
  );
  return next.getUTCFullYear() > LAST_YEAR ? undefined : next.toISOString().slice(0, 10);
}

/**
 * One bound, in a form that every server reads alike. Servers up to 5.0 refuse years, months and times without seconds, and
 * take a day for its first moment, so `le2024-01-31` would leave that day out. A bound is therefore the first moment of a
 * period, or of the one after it.
 */
function boundText(prefix: keyof DateBounds, value: string | Date): string {
  const text = dateText(value);
  const period = PERIOD.exec(text);
  if (!period) {
    const [, minutes, zone = ''] = MINUTES.exec(text) ?? [];
    return prefix + (minutes === undefined ? text : `${minutes}:00${zone}`);
  }
  const [, year, month = '01', day = '01'] = period;
  if (prefix === 'ge' || prefix === 'lt') {
    return `${prefix}${year}-${month}-${day}`;
  }
  const next = dayAfter(period);
  return next === undefined ? `${prefix}${LAST_YEAR}-12-31` : `${prefix === 'gt' ? 'ge' : 'lt'}${next}`;
}

/**
 * Finds dates within all of the bounds: `dateRange({ ge: '1960', le: '2024-01-31' })`. A year, a month or a day counts as a
 * whole: `le` and `ge` include it, `lt` and `gt` leave it out. A time is compared as it is.
 *
 * @throws MedplumBadRequestError when there are no bounds, or one is not a date.
 */
export function dateRange(bounds: DateBounds): SearchAnd {
  const prefixes = ['ge', 'gt', 'le', 'lt'] as const;
  const terms = prefixes.flatMap((prefix) => {
    const bound = bounds[prefix];
    return bound === undefined ? [] : [new SearchTerm(boundText(prefix, bound))];
  });
  return and(...terms);
}

/**
 * Makes a quantity (FHIR R4 section 3.1.1.4.11):
 * `quantity('gt', 5.4, { system: 'http://unitsofmeasure.org', code: 'mg' })`.
 *
 * @throws MedplumBadRequestError when the prefix is unknown, the value is not a finite number, or the unit has no code.
 */
export function quantity(prefix: SearchPrefix, value: number, unit?: TokenLike): SearchTerm {
  if (!PREFIXES.has(prefix) || !Number.isFinite(value)) {
    throw new MedplumBadRequestError('A quantity needs a prefix such as ge, and a finite number.');
  }
  const start = (prefix === 'eq' ? '' : prefix) + String(value);
  if (!unit) {
    return new SearchTerm(start);
  }
  const { system, code } = unit;
  return new SearchTerm(`${start}|${system ? escaped(system, 'system') : ''}|${escaped(code, 'code of the unit')}`);
}

/**
 * Makes a reference to one resource: `referenceTo(patient)`, `referenceTo('Patient/123')`,
 * `referenceTo(encounter.subject)`.
 *
 * @throws MedplumBadRequestError unless `target` names one resource by its type and id.
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
  if (!isTypedReference(text)) {
    throw new MedplumBadRequestError(
      'The reference must name one resource by its type and id. Pass Type/id, or the resource itself.',
    );
  }
  return new SearchTerm(text);
}
