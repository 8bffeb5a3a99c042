import { BadRequestException } from '@nestjs/common';
import type { Json } from './resource.checks';

/** One page of a list, as parameters of a FHIR search. */
export interface Page {
  readonly _count: number;
  readonly _offset: number;
}

/** @throws BadRequestException for an unknown parameter, because a misspelt filter must not show everything. */
export function checkParameters(query: Json, known: readonly string[]): void {
  const unknown = Object.keys(query).filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new BadRequestException(`There is an unknown query parameter. Use only ${known.join(', ')}.`);
  }
}

/** @throws BadRequestException if the parameter is repeated, blank or longer than 100 characters. */
export function textParameter(query: Json, name: string): string | undefined {
  const value = query[name];
  if (value !== undefined && (typeof value !== 'string' || value.trim() === '' || value.length > 100)) {
    throw new BadRequestException(`${name} must be given once, with 1 to 100 characters.`);
  }
  return value;
}

/** Reads `count` and `offset`. @throws BadRequestException */
export function pageOf(query: Json): Page {
  return { _count: wholeNumber(query, 'count', 1, 100, 20), _offset: wholeNumber(query, 'offset', 0, 10_000, 0) };
}

function wholeNumber(query: Json, name: string, least: number, most: number, otherwise: number): number {
  const value = query[name];
  if (value === undefined) {
    return otherwise;
  }
  const number = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : -1;
  if (number < least || number > most) {
    throw new BadRequestException(`${name} must be a whole number from ${least} to ${most}.`);
  }
  return number;
}
