import type { Operator } from '@medplum/core';
import type { SearchParameter } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { MedplumServerVersion } from './emulator.types';
import { core } from './medplum-peers';
import type { SearchDate, SearchValues } from './search-values';

/** Tests whether the values of a parameter in a resource satisfy one searched value. */
export type ValueTest = (values: SearchValues) => boolean;

/** Compiles a test for dates. The recorded server compares instants, and whole days only for `date` elements. */
export function compileDate(
  parameter: SearchParameter,
  resourceType: string,
  operator: Operator,
  value: string,
  serverVersion: MedplumServerVersion,
): ValueTest {
  if (serverVersion !== '5.0') {
    return compileDateWindow(operator, value);
  }
  const wholeDays = core.getSearchParameterDetails(resourceType, parameter).type === 'DATE';
  const time = Date.parse(value);
  if (Number.isNaN(time) || (wholeDays && !/^\d{4}-\d{2}-\d{2}/.test(value))) {
    throw new core.OperationOutcomeError(core.badRequest(`Invalid date value: ${value}`));
  }
  const day = value.slice(0, 10);
  const position = wholeDays
    ? ({ text }: SearchDate) => (text < day ? -1 : Number(text > day))
    : (date: SearchDate) => Math.sign(date.time - time);
  const accepts = comparison(operator);
  return (values) => values.kind === 'date' && values.dates.some((date) => accepts(position(date)));
}

/** Newer servers compare with the whole period that the value covers: `1990` means any day of that year. */
function compileDateWindow(operator: Operator, value: string): ValueTest {
  const start = Date.parse(value);
  if (Number.isNaN(start)) {
    throw new core.OperationOutcomeError(core.badRequest(`Invalid date value: ${value}`));
  }
  const end = endOf(value, start);
  const accepts = comparison(operator);
  return (values) =>
    values.kind === 'date' && values.dates.some(({ time }) => accepts(time < start ? -1 : Number(time >= end)));
}

function endOf(value: string, start: number): number {
  const end = new Date(start);
  if (/^\d{4}$/.test(value)) {
    end.setUTCFullYear(end.getUTCFullYear() + 1);
  } else if (/^\d{4}-\d{2}$/.test(value)) {
    end.setUTCMonth(end.getUTCMonth() + 1);
  } else if (/^\d{4}-\d{2}-\d{2}$/.test(value)) {
    end.setUTCDate(end.getUTCDate() + 1);
  } else {
    return start + (/T\d{2}:\d{2}(Z|[+-].*)?$/.test(value) ? 60_000 : /\.\d/.test(value) ? 1 : 1000);
  }
  return end.getTime();
}

/** Tests whether a position relative to the searched value (-1 before, 0 same, 1 after) satisfies the prefix. */
function comparison(operator: Operator): (position: number) => boolean {
  switch (operator) {
    case 'ne':
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
      return (position) => position === 0;
  }
}

/** Compiles a test for numbers and quantities. Units are not compared. */
export function compileNumber(operator: Operator, value: string): ValueTest {
  const [text = ''] = value.split('|');
  const wanted = Number(text);
  if (text.trim() === '' || Number.isNaN(wanted)) {
    throw new core.OperationOutcomeError(core.badRequest(`Invalid number value: ${value}`));
  }
  const accepts = comparison(operator);
  return (values) =>
    values.kind === 'number' && values.ranges.some(([low, high]) => accepts(high < wanted ? -1 : Number(low > wanted)));
}
