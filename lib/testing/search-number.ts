import type { Operator } from '@medplum/core';
import { core } from './medplum-peers';
import type { ParameterShape } from './search-parameter';
import type { ValueTest } from './search.types';

/**
 * Tests the position of a stored value relative to the searched one: -1 before, 0 same, 1 after.
 *
 * @throws OperationOutcomeError 400 for prefixes and modifiers that cannot compare.
 */
export function compareWith(operator: Operator): (position: number) => boolean {
  switch (operator) {
    case 'eq':
    case 'exact':
      return (position) => position === 0;
    case 'ne':
    case 'not':
      return (position) => position !== 0;
    case 'gt':
    case 'sa':
      return (position) => position > 0;
    case 'ge':
      return (position) => position >= 0;
    case 'lt':
    case 'eb':
      return (position) => position < 0;
    case 'le':
      return (position) => position <= 0;
    default:
      throw new core.OperationOutcomeError(core.badRequest(`Unknown FHIR operator: ${operator}`));
  }
}

/** The few parameters whose numbers the server keeps as integers. */
const INTEGERS = new Set(['priority-order']);

/** Compiles a test for numbers. A comma means OR. */
export function compileNumbers(
  code: string,
  { isArray }: ParameterShape,
  operator: Operator,
  alternatives: readonly string[],
): ValueTest {
  const accepts = compareWith(operator);
  const parse = INTEGERS.has(code) ? parseInteger : parseNumber;
  const wanted = alternatives.map(parse);
  return (values) => {
    if (values.kind !== 'number' || values.values.length === 0) {
      return isArray ? false : undefined;
    }
    return values.values.some((value) => wanted.some((other) => accepts(Math.sign(value - other))));
  };
}

/** Compiles a test for quantities. The server compares neither systems nor units, and does not know OR here. */
export function compileQuantity({ isArray }: ParameterShape, operator: Operator, value: string): ValueTest {
  const [text = ''] = value.split('|');
  if (text === '') {
    throw new core.OperationOutcomeError(core.badRequest(`Invalid quantity value: ${value}`));
  }
  if (isArray) {
    const literal = operator === 'ap' ? String(Number.parseFloat(text) * 0.9) : text;
    throw new core.OperationOutcomeError(core.badRequest(`malformed array literal: "${literal}"`));
  }
  const test = operator === 'ap' ? approximately(text) : exactly(operator, text);
  return (values) => (values.kind === 'number' && values.values[0] !== undefined ? test(values.values[0]) : undefined);
}

/** Within ten percent of the value. */
function approximately(text: string): (value: number) => boolean {
  const wanted = Number.parseFloat(text);
  const [low, high] = [wanted * 0.9, wanted * 1.1];
  return (value) => value >= low && value <= high;
}

function exactly(operator: Operator, text: string): (value: number) => boolean {
  const accepts = compareWith(operator);
  const wanted = parseNumber(text);
  return (value) => accepts(Math.sign(value - wanted));
}

/** @throws OperationOutcomeError 400 with the text of the server's database */
function parseNumber(text: string): number {
  const trimmed = text.trim();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)) {
    throw new core.OperationOutcomeError(
      core.badRequest(`invalid input syntax for type double precision: ${JSON.stringify(text)}`),
    );
  }
  return Number(trimmed);
}

/** @throws OperationOutcomeError 400 with the text of the server's database */
function parseInteger(text: string): number {
  if (!/^\s*[+-]?\d+\s*$/.test(text)) {
    throw new core.OperationOutcomeError(
      core.badRequest(`invalid input syntax for type integer: ${JSON.stringify(text)}`),
    );
  }
  return Number(text);
}
