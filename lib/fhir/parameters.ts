import type { CodeableConcept, Coding, Parameters, ParametersParameter } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownName } from '../errors/shown';

/**
 * Input of an operation as a plain object. Text becomes `valueString`, whole numbers `valueInteger`, others
 * `valueDecimal`, booleans `valueBoolean`, a resource `resource`, `{ reference }` `valueReference`, `{ coding }` and
 * `{ text }` `valueCodeableConcept`, `{ system, code }` `valueCoding`. A list repeats the parameter, `undefined` leaves it
 * out. Where the operation needs another type, name it: `{ url: { valueUri: 'https://…' } }`.
 */
export type OperationInput = Readonly<Record<string, unknown>>;

function value(name: string, given: unknown): Omit<ParametersParameter, 'name'> {
  switch (typeof given) {
    case 'string':
      return { valueString: given };
    case 'boolean':
      return { valueBoolean: given };
    case 'number':
      if (Number.isFinite(given)) {
        return Number.isSafeInteger(given) ? { valueInteger: given } : { valueDecimal: given };
      }
      break;
    case 'object':
      if (given !== null) {
        return complexValue(name, given);
      }
      break;
  }
  throw new MedplumBadRequestError(`The parameter ${shownName(name)} of the operation has a value of no known type.`);
}

function complexValue(name: string, given: object): Omit<ParametersParameter, 'name'> {
  const [first = '', ...others] = Object.keys(given);
  if (/^value[A-Z]\w*$/.test(first) && others.length === 0) {
    return given;
  }
  if ('resourceType' in given) {
    return { resource: given as NonNullable<ParametersParameter['resource']> };
  }
  if ('reference' in given) {
    return { valueReference: given as NonNullable<ParametersParameter['valueReference']> };
  }
  if ('coding' in given || 'text' in given) {
    return { valueCodeableConcept: given as CodeableConcept };
  }
  if ('code' in given) {
    return { valueCoding: given as Coding };
  }
  throw new MedplumBadRequestError(
    `The type of the parameter ${shownName(name)} of the operation cannot be told: name it, as in { valueUri: … }.`,
  );
}

/** Input of an operation as FHIR has it; what is a Parameters resource already stays as it is. */
export function toParameters(input: OperationInput | Parameters | undefined): Parameters {
  if (typeof input !== 'object' || input === null) {
    return { resourceType: 'Parameters' };
  }
  if ('resourceType' in input) {
    if (input.resourceType !== 'Parameters') {
      throw new MedplumBadRequestError('The input of an operation must be Parameters or a plain object of values.');
    }
    return input as Parameters;
  }
  const parameter = Object.entries(input).flatMap(([name, given]) =>
    [given].flat().flatMap((one) => (one === undefined ? [] : [{ name, ...value(name, one) }])),
  );
  return { resourceType: 'Parameters', parameter };
}
