import type { Filter, Operator } from '@medplum/core';
import type { SearchParameter } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { core } from './medplum-peers';
import { compileChain, compileReverseChain } from './search-chain';
import type { CompiledFilter, Predicate, SearchScope } from './search.types';
import { compileDate, compileNumber, type ValueTest } from './search-ordered';
import { searchValues, type SearchValues } from './search-values';

/** Names and addresses match from the start of any word, as in the server's lookup tables. Other strings match from theirs. */
const BY_WORD = new Set([
  'name',
  'family',
  'given',
  'phonetic',
  'address',
  'address-city',
  'address-country',
  'address-postalcode',
  'address-state',
]);

/** Parameters that the installed definitions have, but the recorded server did not. */
const NEWER_PARAMETERS = new Set(['ProjectMembership.active']);

/** Returns the search parameter, or throws the server's error for an unknown one. */
function requireParameter(scope: SearchScope, resourceType: string, code: string): SearchParameter {
  const parameter = core.getSearchParameter(resourceType, code);
  if (!parameter || (scope.serverVersion === '5.0' && NEWER_PARAMETERS.has(`${resourceType}.${code}`))) {
    throw new core.OperationOutcomeError(core.badRequest(`Unknown search parameter: ${code}`));
  }
  return parameter;
}

/**
 * Compiles a filter.
 *
 * @throws OperationOutcomeError (400) for unknown parameters and for values that the server refuses.
 */
export function compileFilter(scope: SearchScope, resourceType: string, filter: Filter): CompiledFilter {
  const { code, operator, value } = filter;
  if (code === '_filter') {
    return { matches: compileExpression(scope, resourceType, core.parseFilterParameter(value)) };
  }
  if (code.startsWith('_has:')) {
    return { matches: compileReverseChain(scope, resourceType, code, value, compileFilter) };
  }
  if (code.includes('.')) {
    return { matches: compileChain(scope, resourceType, code, value, compileFilter) };
  }
  const parameter = requireParameter(scope, resourceType, code);
  if (operator === 'missing' || operator === 'present') {
    const wanted = (operator === 'missing') === (value === 'true');
    return { matches: (version, resource) => isEmpty(searchValues(version, resource, code)) === wanted };
  }
  const alternatives = core.splitSearchOnComma(value);
  const tests = alternatives.map((alternative) => compileValue(scope, parameter, resourceType, operator, alternative));
  const any = (values: SearchValues): boolean => tests.some((test) => test(values));
  const negated = operator === 'not' || operator === 'not-in';
  const keys = negated ? undefined : lookupKeys(parameter, operator, alternatives);
  return {
    matches: (version, resource) => any(searchValues(version, resource, code)) !== negated,
    ...(keys && { lookup: { code, keys } }),
  };
}

function isEmpty(values: SearchValues): boolean {
  switch (values.kind) {
    case 'string':
      return values.exact.length === 0;
    case 'token':
      return values.tokens.length === 0;
    case 'date':
      return values.dates.length === 0;
    case 'number':
      return values.ranges.length === 0;
    default:
      return values.values.length === 0;
  }
}

function lookupKeys(
  parameter: SearchParameter,
  operator: Operator,
  alternatives: readonly string[],
): readonly string[] | undefined {
  if (operator !== 'eq' && operator !== 'exact') {
    return undefined;
  }
  if (parameter.code === '_compartment' && alternatives.some((value) => !value.includes('/'))) {
    return undefined;
  }
  if (parameter.type === 'reference') {
    return alternatives.map((value) => toReference(parameter, value));
  }
  if (parameter.type === 'token' && alternatives.every((value) => !value.startsWith('|') && !value.endsWith('|'))) {
    return alternatives;
  }
  return undefined;
}

/** A bare id refers to a Patient for `subject` and `patient`, else to the only possible target type. */
function toReference(parameter: SearchParameter, value: string): string {
  if (value.includes('/') || value.includes(':')) {
    return value;
  }
  if (parameter.code === 'subject' || parameter.code === 'patient') {
    return `Patient/${value}`;
  }
  const [target, ...others] = parameter.target ?? [];
  return target && others.length === 0 ? `${target}/${value}` : value;
}

function compileValue(
  scope: SearchScope,
  parameter: SearchParameter,
  resourceType: string,
  operator: Operator,
  value: string,
): ValueTest {
  switch (parameter.type) {
    case 'string':
      return compileString(parameter, operator, value);
    case 'token':
      return compileToken(parameter, resourceType, operator, value);
    case 'reference':
      return compileReference(parameter, value);
    case 'date':
      return compileDate(parameter, resourceType, operator, value, scope.serverVersion);
    case 'number':
    case 'quantity':
      return compileNumber(operator, value);
    default:
      return operator === 'below' || operator === 'contains'
        ? (values) => values.kind === 'uri' && values.values.some((uri) => uri.startsWith(value))
        : (values) => values.kind === 'uri' && values.values.includes(value);
  }
}

function compileString(parameter: SearchParameter, operator: Operator, value: string): ValueTest {
  if (operator === 'exact') {
    return (values) => values.kind === 'string' && values.exact.includes(value);
  }
  const folded = value.toLowerCase();
  if (operator === 'contains') {
    return (values) => values.kind === 'string' && values.folded.some((text) => text.includes(folded));
  }
  const byWord = BY_WORD.has(parameter.code);
  return (values) =>
    values.kind === 'string' &&
    values.folded.some((text) => text.startsWith(folded) || (byWord && text.includes(` ${folded}`)));
}

function compileToken(parameter: SearchParameter, resourceType: string, operator: Operator, value: string): ValueTest {
  if (operator === 'text') {
    const folded = value.toLowerCase();
    return (values) => values.kind === 'token' && values.texts.some((text) => text.includes(folded));
  }
  if (
    core.getSearchParameterDetails(resourceType, parameter).type === 'BOOLEAN' &&
    !['true', 'false'].includes(value)
  ) {
    throw new core.OperationOutcomeError(core.badRequest(`Boolean search value must be 'true' or 'false'`));
  }
  const bar = value.indexOf('|');
  if (bar < 0) {
    return (values) => values.kind === 'token' && values.tokens.some((token) => token.value === value);
  }
  const system = value.slice(0, bar);
  const code = value.slice(bar + 1);
  return (values) =>
    values.kind === 'token' &&
    values.tokens.some((token) => (token.system ?? '') === system && (code === '' || token.value === code));
}

function compileReference(parameter: SearchParameter, value: string): ValueTest {
  const reference = toReference(parameter, value);
  if (parameter.code === '_compartment' && !value.includes('/')) {
    // The server stores only the ids of compartments, so an id alone finds them.
    return (values) => values.kind === 'reference' && values.values.some((known) => known.endsWith(`/${value}`));
  }
  return (values) => values.kind === 'reference' && values.values.includes(reference);
}

type FilterExpression = ReturnType<typeof core.parseFilterParameter>;

function compileExpression(scope: SearchScope, resourceType: string, expression: FilterExpression): Predicate {
  if (expression instanceof core.FhirFilterNegation) {
    const child = compileExpression(scope, resourceType, expression.child);
    return (version, resource) => !child(version, resource);
  }
  if (expression instanceof core.FhirFilterConnective) {
    const left = compileExpression(scope, resourceType, expression.left);
    const right = compileExpression(scope, resourceType, expression.right);
    return expression.keyword === 'and'
      ? (version, resource) => left(version, resource) && right(version, resource)
      : (version, resource) => left(version, resource) || right(version, resource);
  }
  const { path, operator, value } = expression;
  return compileFilter(scope, resourceType, { code: path, operator, value }).matches;
}
