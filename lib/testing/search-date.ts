import type { Operator } from '@medplum/core';
import type { MedplumServerVersion } from './emulator.types';
import { core } from './medplum-peers';
import { refuseValueSets } from './search-operators';
import { compareWith } from './search-number';
import type { ParameterShape } from './search-parameter';
import type { ValueTest } from './search.types';

const YEAR = String.raw`(\d(\d(\d[1-9]|[1-9]0)|[1-9]00)|[1-9]000)`;
const DAY = String.raw`(0[1-9]|1[0-2])-(0[1-9]|[1-2]\d|3[0-1])`;
const TIME = String.raw`([01]\d|2[0-3])(:[0-5]\d(:([0-5]\d|60))?(\.\d{1,9})?)?`;
const ZONE = String.raw`(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00)?)?`;

/** What the recorded server accepts: a whole day, with or without a time. */
const SEARCHED_DATE = new RegExp(`^${YEAR}-${DAY}([T ]${TIME})?${ZONE}$`);

/**
 * Compiles a test for dates. The recorded server compares instants, and whole days only for `date` elements.
 *
 * @throws OperationOutcomeError 400 for a value that is no date.
 */
export function compileDate(
  code: string,
  shape: ParameterShape,
  operator: Operator,
  value: string,
  serverVersion: MedplumServerVersion,
): ValueTest {
  refuseValueSets(code, operator);
  if (serverVersion !== '5.0') {
    return compileWindow(shape, operator, value);
  }
  if (!SEARCHED_DATE.test(value) || Number.isNaN(Date.parse(value))) {
    throw new core.OperationOutcomeError(core.badRequest(`Invalid date value: ${value}`));
  }
  if (shape.column === 'period') {
    return compilePeriod(operator, value);
  }
  const accepts = compareWith(operator);
  if (shape.isArray) {
    throw new core.OperationOutcomeError(core.badRequest(`malformed array literal: "${value}"`));
  }
  requireRealDay(value);
  const day = value.slice(0, 10);
  const time = Date.parse(value);
  return (values) => {
    if (values.kind === 'day' && values.values[0] !== undefined) {
      return accepts(values.values[0] < day ? -1 : Number(values.values[0] > day));
    }
    return values.kind === 'number' && values.values[0] !== undefined
      ? accepts(Math.sign(values.values[0] - time))
      : undefined;
  };
}

/** @throws OperationOutcomeError 400 for a day that no calendar has, such as 31 February */
function requireRealDay(value: string): void {
  const [year = 0, month = 0, day = 0] = value.slice(0, 10).split('-').map(Number);
  if (day > new Date(Date.UTC(year, month, 0)).getUTCDate()) {
    const text = `date/time field value out of range: "${value}"`;
    throw new core.OperationOutcomeError(core.badRequest(text));
  }
}

/** Reports are the one type whose periods the recorded server compares as periods. */
function compilePeriod(operator: Operator, value: string): ValueTest {
  const { start: from = '', end: to = '' } = core.toPeriod(value) ?? {};
  const [start, end] = [Date.parse(from), Date.parse(to)];
  const accepts = ((): ((low: number, high: number) => boolean) => {
    switch (operator) {
      case 'eq':
        return (low, high) => low <= end && high >= start;
      case 'ne':
      case 'not':
        return (low, high) => low > end || high < start;
      case 'lt':
        return (low) => low < end;
      case 'le':
        return (low) => low <= end;
      case 'gt':
        return (_low, high) => high > start;
      case 'ge':
        return (_low, high) => high >= start;
      case 'sa':
        return (low) => low > end;
      case 'eb':
        return (_low, high) => high < start;
      default:
        throw new core.OperationOutcomeError(core.badRequest(`Unknown FHIR operator: ${operator}`));
    }
  })();
  return (values) => {
    const [period] = values.kind === 'period' ? values.values : [];
    return period && accepts(period[0], period[1]);
  };
}

/** Newer servers compare with the whole period that the value covers: `1990` means any day of that year. */
function compileWindow(shape: ParameterShape, operator: Operator, value: string): ValueTest {
  const start = Date.parse(value);
  if (Number.isNaN(start)) {
    throw new core.OperationOutcomeError(core.badRequest(`Invalid date value: ${value}`));
  }
  if (shape.column === 'period') {
    return compilePeriod(operator, value);
  }
  const end = endOf(value, start);
  const accepts = compareWith(operator === 'ap' ? 'eq' : operator);
  const test = (time: number): boolean => accepts(time < start ? -1 : Number(time >= end));
  return (values) =>
    (values.kind === 'day' && values.values.some((day) => test(Date.parse(day)))) ||
    (values.kind === 'number' && values.values.some(test));
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
