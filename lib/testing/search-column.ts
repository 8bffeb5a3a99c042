import type { Operator } from '@medplum/core';
import type { SearchParameter } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { MedplumServerVersion } from './emulator.types';
import { core } from './medplum-peers';
import { compileDate } from './search-date';
import { compileNumbers, compileQuantity } from './search-number';
import { isNegated, refuseValueSets } from './search-operators';
import type { ParameterShape } from './search-parameter';
import type { SearchValues } from './search-values';
import type { ValueTest } from './search.types';

/**
 * Compiles a test for a parameter whose values the server keeps in a column of their own.
 *
 * @throws OperationOutcomeError 400 for modifiers, prefixes and values that the server refuses.
 */
export function compileColumn(
  resourceType: string,
  parameter: SearchParameter,
  shape: ParameterShape,
  operator: Operator,
  value: string,
  serverVersion: MedplumServerVersion,
): ValueTest {
  if (shape.column === 'none') {
    return refuseColumn(resourceType, parameter.code);
  }
  if (operator === 'missing' || operator === 'present') {
    const wantsMissing = (operator === 'missing') === (value === 'true');
    return (values) => isEmpty(values) === wantsMissing;
  }
  const alternatives = core.splitSearchOnComma(value);
  switch (shape.column) {
    case 'boolean':
      return compileBoolean(parameter.code, operator, value, shape.isArray);
    case 'string':
      return compileString(operator, alternatives);
    case 'code':
      return compileCode(shape, operator, alternatives);
    case 'reference':
      return compileReference(parameter, shape, operator, alternatives, serverVersion);
    case 'number':
      return parameter.type === 'quantity'
        ? compileQuantity(shape, operator, value)
        : compileNumbers(parameter.code, shape, operator, alternatives);
    default:
      return compileDate(parameter.code, shape, operator, value, serverVersion);
  }
}

/** @throws OperationOutcomeError 400 for a parameter that has no column: the server cannot search by composites. */
export function refuseColumn(resourceType: string, code: string): never {
  const name = code.replace(/-(\w)/g, (_whole, letter: string) => letter.toUpperCase());
  throw new core.OperationOutcomeError(core.badRequest(`column ${resourceType}.${name} does not exist`));
}

/** Whether the column holds nothing. */
function isEmpty(values: SearchValues): boolean {
  switch (values.kind) {
    case 'boolean':
      return values.value === undefined;
    case 'words':
      return values.rows.length === 0;
    case 'token':
      return values.tokens.length === 0;
    default:
      return values.values.length === 0;
  }
}

/** @throws OperationOutcomeError 400 unless the value is `true` or `false`. */
export function compileBoolean(code: string, operator: Operator, value: string, isArray = false): ValueTest {
  refuseValueSets(code, operator);
  if (value !== 'true' && value !== 'false') {
    throw new core.OperationOutcomeError(core.badRequest(`Boolean search value must be 'true' or 'false'`));
  }
  if (isArray) {
    throw new core.OperationOutcomeError(core.badRequest(`malformed array literal: "${value}"`));
  }
  const wanted = value === 'true';
  const negated = isNegated(operator);
  return (values) => {
    const found = values.kind === 'boolean' ? values.value : undefined;
    return negated ? found !== wanted : found === undefined ? undefined : found === wanted;
  };
}

function compileString(operator: Operator, alternatives: readonly string[]): ValueTest {
  const tests = alternatives.map((value) => stringTest(operator, value));
  return (values) => values.kind === 'text' && values.values.some((text) => tests.some((test) => test(text)));
}

function stringTest(operator: Operator, value: string): (text: string) => boolean {
  const folded = value.toLowerCase();
  switch (operator) {
    case 'exact':
      return (text) => text === value;
    case 'contains':
      return (text) => text.toLowerCase().includes(folded);
    case 'eq':
    case 'sw':
      return (text) => text.toLowerCase().startsWith(folded);
    default:
      throw new core.OperationOutcomeError(core.badRequest(`Unsupported string search operator: ${operator}`));
  }
}

/** Codes and URIs compare as a whole, whatever the modifier. */
function compileCode(shape: ParameterShape, operator: Operator, alternatives: readonly string[]): ValueTest {
  return compileMembership(shape, operator, alternatives, { singleNotFindsNothing: true });
}

function compileReference(
  parameter: SearchParameter,
  shape: ParameterShape,
  operator: Operator,
  alternatives: readonly string[],
  serverVersion: MedplumServerVersion,
): ValueTest {
  refuseValueSets(parameter.code, operator);
  const references = alternatives.map((value) => toReference(parameter, value, serverVersion));
  return compileMembership(shape, operator, references, { singleNotFindsNothing: false });
}

/** The recorded server completes a bare id for `subject` and `patient` only, newer ones for each single target type. */
export function toReference(parameter: SearchParameter, value: string, serverVersion: MedplumServerVersion): string {
  if (value.includes('/')) {
    return value;
  }
  if (parameter.code === 'subject' || parameter.code === 'patient') {
    return `Patient/${value}`;
  }
  const [target, ...others] = parameter.target ?? [];
  return serverVersion !== '5.0' && target && others.length === 0 && !value.includes(':')
    ? `${target}/${value}`
    : value;
}

/** @param details whether the negation of a single value finds resources without any value, as it does for codes */
function compileMembership(
  { isArray }: ParameterShape,
  operator: Operator,
  wanted: readonly string[],
  { singleNotFindsNothing }: { readonly singleNotFindsNothing: boolean },
): ValueTest {
  const known = new Set(wanted);
  const negated = isNegated(operator);
  const findsEmpty = negated && (isArray || (singleNotFindsNothing && wanted.length === 1));
  return (values) => {
    if (values.kind !== 'text' || values.values.length === 0) {
      return findsEmpty ? true : isArray ? false : undefined;
    }
    return values.values.some((value) => known.has(value)) !== negated;
  };
}
