import type { Operator } from '@medplum/core';
import type { SearchParameter } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { core } from './medplum-peers';
import { isNegated } from './search-operators';
import type { ParameterShape } from './search-parameter';
import { isTextToken, type SearchToken } from './search-values';
import type { ValueTest } from './search.types';

/**
 * Compiles a test for codes with systems: identifiers, concepts, codings, contact points.
 *
 * @throws OperationOutcomeError 400 for a modifier that the server refuses.
 */
export function compileToken(
  parameter: SearchParameter,
  { ignoresCase }: ParameterShape,
  operator: Operator,
  value: string,
): ValueTest {
  const alternatives = core.splitSearchOnComma(value).map((alternative) => alternative.trim());
  switch (operator) {
    case 'text':
    case 'contains': {
      const parts = alternatives.map((part) => part.toLowerCase());
      return (values) =>
        values.kind === 'token' && values.texts.some((text) => parts.some((part) => text.includes(part)));
    }
    case 'eq':
    case 'exact':
    case 'not':
    case 'ne': {
      const tests = alternatives.map((alternative) => tokenTest(ignoresCase ? alternative.toLowerCase() : alternative));
      const negated = isNegated(operator);
      return (values) =>
        (values.kind === 'token' && values.tokens.some((token) => tests.some((test) => test(token)))) !== negated;
    }
    case 'missing':
    case 'present': {
      const wanted = value.toLowerCase();
      if (wanted !== 'true' && wanted !== 'false') {
        const text = `Search filter ':${operator}' must have a value of 'true' or 'false'`;
        throw new core.OperationOutcomeError(core.badRequest(text));
      }
      const exists = (operator === 'present') === (wanted === 'true');
      return (values) => (values.kind === 'token' && values.tokens.length > 0) === exists;
    }
    default:
      throw new core.OperationOutcomeError(core.invalidSearchOperator(operator, parameter.id ?? parameter.code));
  }
}

/** `code`, `system|code`, `system|` or `|code`. */
function tokenTest(searched: string): (token: SearchToken) => boolean {
  const bar = searched.indexOf('|');
  if (bar < 0) {
    return ({ value }) => value === searched && value !== '';
  }
  const [system, code] = [searched.slice(0, bar), searched.slice(bar + 1)];
  if (system === '') {
    return (token) => !token.system && code !== '' && token.value === code;
  }
  return (token) => !isTextToken(token) && token.system === system && (code === '' || token.value === code);
}
