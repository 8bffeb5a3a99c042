import type { Filter } from '@medplum/core';
import { core } from './medplum-peers';
import { compileBoolean } from './search-column';
import { compileDate } from './search-date';
import { isNegated, refuseValueSets } from './search-operators';
import type { ParameterShape } from './search-parameter';
import { searchValues } from './search-values';
import type { CompiledFilter } from './search.types';

/** An id that no resource has. It stands for every searched id that is not a UUID. */
const NO_ID = '00000000-0000-0000-0000-000000000000';

const INSTANT: ParameterShape = {
  strategy: 'column',
  column: 'instant',
  isArray: false,
  ignoresCase: false,
  searchesValues: false,
  isCanonical: false,
};

/**
 * Compiles a filter on what the server itself knows of a resource: id, time, deletion, project, compartments.
 *
 * @returns `undefined` for other parameters
 * @throws OperationOutcomeError 400 for values and modifiers that the server refuses
 */
export function compileSpecial(filter: Filter): CompiledFilter | undefined {
  const { code, operator, value } = filter;
  switch (code) {
    case '_id': {
      const ids = searchedIds(filter);
      const negated = isNegated(operator);
      return {
        matches: (_version, { id }) => ids.has(id) !== negated,
        ...(!negated && { lookup: { code, keys: [...ids] } }),
      };
    }
    case '_lastUpdated': {
      const test = compileDate(code, INSTANT, operator, value, '5.0');
      return { matches: ({ lastUpdated }) => test({ kind: 'number', values: [Date.parse(lastUpdated)] }) };
    }
    case '_deleted': {
      const test = compileBoolean(code, operator, value);
      return { matches: (version) => test({ kind: 'boolean', value: isDeletion(version) }) };
    }
    case '_project':
      return compileProject(filter);
    case '_compartment': {
      const ids = searchedIds(filter);
      const negated = isNegated(operator);
      return {
        matches: (version, resource) => {
          const values = searchValues(version, resource, code);
          return (values.kind === 'text' && values.values.some((id) => ids.has(id))) !== negated;
        },
        ...(!negated && { lookup: { code, keys: [...ids] } }),
      };
    }
    default:
      return undefined;
  }
}

/** A version without a resource records a deletion. */
function isDeletion(version: object): boolean {
  return !('resource' in version);
}

function compileProject(filter: Filter): CompiledFilter {
  const { operator, value } = filter;
  if (operator === 'missing' || operator === 'present') {
    const wantsProject = (operator === 'present') === (value === 'true');
    return { matches: (_version, { meta }) => (meta.project !== undefined) === wantsProject };
  }
  const ids = searchedIds(filter);
  const negated = isNegated(operator);
  return { matches: (_version, { meta }) => ids.has(meta.project ?? NO_ID) !== negated };
}

/** Ids, or references of which only the id counts. */
function searchedIds({ code, operator, value }: Filter): ReadonlySet<string> {
  refuseValueSets(code, operator);
  const ids = core.splitSearchOnComma(value).map((text) => text.slice(text.lastIndexOf('/') + 1));
  return new Set(ids.map((id) => (core.isUUID(id) ? id.toLowerCase() : NO_ID)));
}
