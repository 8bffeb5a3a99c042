import type { SearchParameter } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { core } from './medplum-peers';

/**
 * How the server stores the values of a search parameter, which decides how they compare:
 * `token` with systems and texts, `words` in a table of names or addresses, everything else in a column of its own.
 */
export interface ParameterShape {
  readonly strategy: 'token' | 'words' | 'column';
  /** Type of the column. `none` for composite and special parameters, which the server cannot search. */
  readonly column: 'boolean' | 'day' | 'instant' | 'period' | 'number' | 'string' | 'code' | 'reference' | 'none';
  /** A column that is no list holds only the first value. */
  readonly isArray: boolean;
  /** Values of contact points compare in lower case. */
  readonly ignoresCase: boolean;
  /** Whether `:contains` and `:text` search the values too, and not only texts and displays. */
  readonly searchesValues: boolean;
  /** Whether the references are canonical URLs. */
  readonly isCanonical: boolean;
}

/** Parameters over names. The server keeps each name as one row of words. */
const NAME_PARAMETERS = new Set([
  'individual-given',
  'individual-family',
  'Patient-name',
  'Person-name',
  'Practitioner-name',
  'RelatedPerson-name',
]);

/** Parameters over addresses, as their ids end. */
const ADDRESS_PARAMETER =
  /^(individual|InsurancePlan|Location|Organization)-address(-(city|country|postalcode|state|use))?$/;

/** Token parameters whose values `:contains` and `:text` search, besides texts and displays. */
const CONTACT_PARAMETER = /^(individual|NamingSystem|OrganizationAffiliation)-(email|phone|telecom)$/;

const shapes = new WeakMap<SearchParameter, Map<string, ParameterShape>>();

/** The shape of a parameter in one resource type, computed from the definitions. */
export function parameterShape(resourceType: string, parameter: SearchParameter): ParameterShape {
  const known = shapes.get(parameter) ?? new Map<string, ParameterShape>();
  shapes.set(parameter, known);
  let shape = known.get(resourceType);
  if (!shape) {
    shape = computeShape(resourceType, parameter);
    known.set(resourceType, shape);
  }
  return shape;
}

function computeShape(resourceType: string, parameter: SearchParameter): ParameterShape {
  const details = core.getSearchParameterDetails(resourceType, parameter);
  const elementTypes = (details.elementDefinitions ?? []).flatMap(({ type }) => (type ?? []).map(({ code }) => code));
  return {
    strategy: strategyOf(parameter, elementTypes),
    column: columnOf(parameter, details.type),
    isArray: details.array ?? false,
    ignoresCase: elementTypes.includes('ContactPoint'),
    searchesValues: CONTACT_PARAMETER.test(parameter.id ?? ''),
    isCanonical: details.type === 'CANONICAL',
  };
}

function strategyOf(parameter: SearchParameter, elementTypes: readonly string[]): ParameterShape['strategy'] {
  const id = parameter.id ?? '';
  const isToken =
    parameter.type === 'token' &&
    (parameter.code.endsWith(':identifier') ||
      elementTypes.some((type) => ['ContactPoint', 'Identifier', 'CodeableConcept', 'Coding'].includes(type)));
  if (isToken) {
    return 'token';
  }
  return NAME_PARAMETERS.has(id) || ADDRESS_PARAMETER.test(id) ? 'words' : 'column';
}

function columnOf({ type, id }: SearchParameter, detailType: string): ParameterShape['column'] {
  switch (type) {
    case 'token':
    case 'uri':
      return detailType === 'BOOLEAN' ? 'boolean' : 'code';
    case 'date':
      return id === 'MeasureReport-period' ? 'period' : detailType === 'DATE' ? 'day' : 'instant';
    case 'number':
    case 'quantity':
      return 'number';
    case 'reference':
    case 'string':
      return type;
    default:
      return 'none';
  }
}
