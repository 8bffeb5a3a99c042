import type { Filter, Operator } from '@medplum/core';
import type { SearchParameter } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { core } from './medplum-peers';
import { isNewerParameter } from './newer-definitions';
import { compileChain } from './search-chain';
import { compileColumn, toReference } from './search-column';
import { parameterShape, type ParameterShape } from './search-parameter';
import { compileSpecial } from './search-special';
import { compileToken } from './search-token';
import { findParameter, searchValues } from './search-values';
import { compileWords } from './search-words';
import type { CompiledFilter, Predicate, SearchScope, ValueTest } from './search.types';

/** Returns the search parameter, or throws the server's error for an unknown one. */
function requireParameter(scope: SearchScope, resourceType: string, code: string): SearchParameter {
  const parameter = findParameter(resourceType, code);
  if (!parameter || isNewerParameter(scope.serverVersion, resourceType, code)) {
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
  if (value.includes('\0')) {
    throw new core.OperationOutcomeError(core.badRequest('Search filter value cannot contain null bytes'));
  }
  if (core.isChainedSearchFilter(filter)) {
    return { matches: compileChain(scope, resourceType, filter, compileFilter) };
  }
  if (code === '_filter') {
    return { matches: compileExpression(scope, resourceType, core.parseFilterParameter(value)) };
  }
  const special = compileSpecial(filter);
  if (special) {
    return special;
  }
  const found = requireParameter(scope, resourceType, code);
  const byIdentifier = operator === 'identifier';
  const parameter = byIdentifier ? core.deriveIdentifierSearchParameter(found) : found;
  return compileParameter(scope, resourceType, parameter, byIdentifier ? 'eq' : operator, value);
}

function compileParameter(
  scope: SearchScope,
  resourceType: string,
  parameter: SearchParameter,
  operator: Operator,
  value: string,
): CompiledFilter {
  const { code } = parameter;
  const shape = parameterShape(resourceType, parameter);
  const test = ((): ValueTest => {
    switch (shape.strategy) {
      case 'token':
        return compileToken(parameter, shape, operator, value);
      case 'words':
        return compileWords(code, operator, core.splitSearchOnComma(value));
      default:
        return compileColumn(resourceType, parameter, shape, operator, value, scope.serverVersion);
    }
  })();
  const keys = lookupKeys(scope, parameter, shape, operator, value);
  return {
    matches: (version, resource) => test(searchValues(version, resource, code)),
    ...(keys && { lookup: { code, keys } }),
  };
}

/** The keys of an index that holds every match, and perhaps more; `undefined` if no index helps. */
function lookupKeys(
  { serverVersion }: SearchScope,
  parameter: SearchParameter,
  { strategy, column, ignoresCase }: ParameterShape,
  operator: Operator,
  value: string,
): readonly string[] | undefined {
  if (operator !== 'eq' && operator !== 'exact') {
    return undefined;
  }
  const alternatives = core.splitSearchOnComma(value);
  if (strategy === 'token') {
    const trimmed = alternatives.map((text) => (ignoresCase ? text.toLowerCase() : text).trim());
    return trimmed.every((text) => !text.startsWith('|') && !text.endsWith('|')) ? trimmed : undefined;
  }
  if (strategy === 'column' && column === 'reference') {
    return alternatives.map((text) => toReference(parameter, text, serverVersion));
  }
  return strategy === 'column' && column === 'code' ? alternatives : undefined;
}

type FilterExpression = ReturnType<typeof core.parseFilterParameter>;

function compileExpression(scope: SearchScope, resourceType: string, expression: FilterExpression): Predicate {
  if (expression instanceof core.FhirFilterNegation) {
    const child = compileExpression(scope, resourceType, expression.child);
    return (version, resource) => {
      const result = child(version, resource);
      return result === undefined ? undefined : !result;
    };
  }
  if (expression instanceof core.FhirFilterConnective) {
    const left = compileExpression(scope, resourceType, expression.left);
    const right = compileExpression(scope, resourceType, expression.right);
    // The one result that decides, whatever the other is.
    const decisive = expression.keyword === 'or';
    return (version, resource) => {
      const results = [left(version, resource), right(version, resource)];
      return results.includes(decisive) ? decisive : results.includes(undefined) ? undefined : !decisive;
    };
  }
  const { path, operator, value } = expression;
  return compileFilter(scope, resourceType, { code: path, operator, value }).matches;
}
