import type { CodeableConcept, Coding, Parameters, ParametersParameter } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownName } from '../errors/shown';

/**
 * Input of an operation as a plain object. The type of each parameter follows from its value:
 *
 * - text: `valueString`
 * - a whole number: `valueInteger`; any other number: `valueDecimal`
 * - a boolean: `valueBoolean`
 * - a resource: `resource`
 * - `{ reference }`: `valueReference`
 * - `{ coding }` or `{ text }`: `valueCodeableConcept`
 * - `{ system, code }`: `valueCoding`
 *
 * A list repeats the parameter, and `undefined` leaves it out. If the operation needs another type, name the type:
 * `{ url: { valueUri: 'https://…' } }`.
 */
export type OperationInput = Readonly<Record<string, unknown>>;

/**
 * A Parameters resource with these parameters, for the input and the output of an operation. `Values` maps the name of each
 * parameter to the field that holds its value.
 *
 * @example
 * ```ts
 * type Validation = ParametersOf<{ result: 'valueBoolean'; message: 'valueString' }>;
 * ```
 */
export type ParametersOf<Values extends Readonly<Record<string, Exclude<keyof ParametersParameter, 'name'>>>> = Omit<
  Parameters,
  'parameter'
> & {
  parameter?: {
    [Name in keyof Values & string]: { name: Name } & Pick<ParametersParameter, Values[Name]>;
  }[keyof Values & string][];
};

function typedValue(name: string, given: unknown): Omit<ParametersParameter, 'name'> {
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
  throw new MedplumBadRequestError(
    `The parameter ${shownName(name)} of the operation has a value that has no FHIR type. Pass text, a finite number, a boolean or an object.`,
  );
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
    `The type of the parameter ${shownName(name)} of the operation does not follow from its value. Name the type, as in { valueUri: … }.`,
  );
}

/**
 * Returns the input of an operation as a Parameters resource. One that is passed in is returned unchanged.
 *
 * @throws MedplumBadRequestError when the input is another resource, or the type of a value does not follow from it.
 */
export function toParameters(input: object | undefined): Parameters {
  if (typeof input !== 'object' || input === null) {
    return { resourceType: 'Parameters' };
  }
  if ('resourceType' in input) {
    if (input.resourceType !== 'Parameters') {
      throw new MedplumBadRequestError(
        'The input of an operation must be a Parameters resource or a plain object of values.',
      );
    }
    return input as Parameters;
  }
  const parameter = Object.entries<unknown>({ ...input }).flatMap(([name, given]) =>
    [given].flat().flatMap((one) => (one === undefined ? [] : [{ name, ...typedValue(name, one) }])),
  );
  return { resourceType: 'Parameters', parameter };
}
