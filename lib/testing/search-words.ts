import type { Operator } from '@medplum/core';
import { isNegated, refuseValueSets } from './search-operators';
import type { ValueTest } from './search.types';
import { wordsOf, type WordRow } from './word-rows';

/** Compiles a search by words. Modifiers other than `:exact` and `:contains` change nothing, except that `:not` negates. */
export function compileWords(code: string, operator: Operator, alternatives: readonly string[]): ValueTest {
  refuseValueSets(code, operator);
  const tests = alternatives.map((value) => rowTest(operator, value));
  const negated = isNegated(operator);
  return (values) =>
    (values.kind === 'words' && values.rows.some((row) => tests.some((test) => test(row)))) !== negated;
}

function rowTest(operator: Operator, value: string): (row: WordRow) => boolean {
  if (operator === 'exact') {
    return ({ text }) => text === value.trim();
  }
  if (operator === 'contains') {
    const part = value.toLowerCase();
    return ({ text }) => text?.toLowerCase().includes(part) ?? false;
  }
  const wanted = wordsOf(value);
  if (wanted.length === 0) {
    // A search without any letter or digit finds everybody who has a name.
    return () => true;
  }
  return ({ words }) => wanted.every((start) => words.some((word) => word.startsWith(start)));
}
