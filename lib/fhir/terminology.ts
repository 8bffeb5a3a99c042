import type { CodeableConcept, Coding, ParametersParameter } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownName } from '../errors/shown';
import type { OperationCall } from './operations';

/** Input of `$expand` (FHIR R4 section 4.9.18.1). */
export interface ExpandInput {
  /** Canonical URL of the value set, optionally followed by `|version`. */
  readonly url: string;
  /** Text that the concepts must contain. */
  readonly filter?: string | undefined;
  /** Number of concepts to skip. */
  readonly offset?: number | undefined;
  /** Most concepts in the response. */
  readonly count?: number | undefined;
  /** Returns the other designations of each concept as well. */
  readonly includeDesignations?: boolean | undefined;
  /** Leaves out concepts that are no longer in use. */
  readonly activeOnly?: boolean | undefined;
  /** Returns a flat list instead of a tree. */
  readonly excludeNested?: boolean | undefined;
  /** Leaves out concepts that users are not meant to choose. */
  readonly excludeNotForUI?: boolean | undefined;
  /** Leaves out concepts that are composed of others. */
  readonly excludePostCoordinated?: boolean | undefined;
  /** BCP 47 language of the displays. */
  readonly displayLanguage?: string | undefined;
  /** Codes of the properties to return. */
  readonly property?: readonly string[] | undefined;
}

/** Input of `$lookup` (FHIR R4 section 4.8.21.1). Pass `coding`, or `code` with `system`. */
export interface LookupInput {
  /** The code. Pass its system as well if the operation needs it. */
  readonly code?: string | undefined;
  /** Canonical URL of the code system. */
  readonly system?: string | undefined;
  /** The concept as a coding. */
  readonly coding?: Coding | undefined;
  /** Version of the code system. */
  readonly version?: string | undefined;
  /** The time that the response is about (FHIR `dateTime`). Default: now. */
  readonly date?: string | undefined;
  /** BCP 47 language of the displays. */
  readonly displayLanguage?: string | undefined;
  /** Codes of the properties to return. */
  readonly property?: readonly string[] | undefined;
}

/** Input of `$validate-code` (FHIR R4 sections 4.9.18.2 and 4.8.21.2). Pass `code`, `coding` or `codeableConcept`. */
export interface ValidateCodeInput {
  /** Canonical URL of the value set or the code system. */
  readonly url: string;
  /** The code. Pass its system as well if the operation needs it. */
  readonly code?: string | undefined;
  /** Canonical URL of the code's system, for value sets. */
  readonly system?: string | undefined;
  /** The concept as a coding. */
  readonly coding?: Coding | undefined;
  /** The concept as a CodeableConcept, for value sets. */
  readonly codeableConcept?: CodeableConcept | undefined;
  /** A display text to check, for value sets. */
  readonly display?: string | undefined;
  /** Whether abstract concepts count as valid, for value sets. */
  readonly abstract?: boolean | undefined;
  /** Version of the code system, for code systems. */
  readonly version?: string | undefined;
}

/** Input of `$translate` (FHIR R4 section 4.10.17.1). Pass `codeableConcept`, `coding`, or `code` with `system`. */
export interface TranslateInput {
  /** Canonical URL of the concept map. */
  readonly url?: string | undefined;
  /** Version of the concept map. */
  readonly conceptMapVersion?: string | undefined;
  /** The code. Pass its system as well if the operation needs it. */
  readonly code?: string | undefined;
  /** Canonical URL of the code system. */
  readonly system?: string | undefined;
  /** The concept as a coding. */
  readonly coding?: Coding | undefined;
  /** The concept as a CodeableConcept. */
  readonly codeableConcept?: CodeableConcept | undefined;
  /** Canonical URL of the source value set. */
  readonly source?: string | undefined;
  /** Canonical URL of the target value set. */
  readonly target?: string | undefined;
  /** Canonical URL of the target code system. */
  readonly targetSystem?: string | undefined;
  /** Translates from the target to the source. Default `false`. */
  readonly reverse?: boolean | undefined;
}

/** The FHIR type of each parameter of these operations. */
const TYPES = {
  url: 'valueUri',
  system: 'valueUri',
  source: 'valueUri',
  target: 'valueUri',
  targetSystem: 'valueUri',
  code: 'valueCode',
  displayLanguage: 'valueCode',
  property: 'valueCode',
  filter: 'valueString',
  display: 'valueString',
  version: 'valueString',
  conceptMapVersion: 'valueString',
  date: 'valueDateTime',
  offset: 'valueInteger',
  count: 'valueInteger',
  coding: 'valueCoding',
  codeableConcept: 'valueCodeableConcept',
  abstract: 'valueBoolean',
  reverse: 'valueBoolean',
  includeDesignations: 'valueBoolean',
  activeOnly: 'valueBoolean',
  excludeNested: 'valueBoolean',
  excludeNotForUI: 'valueBoolean',
  excludePostCoordinated: 'valueBoolean',
} as const;

/** Parameters whose value is a canonical URL: a `uri`, optionally followed by `|version` (FHIR R4 section 2.24.0.1). */
const CANONICAL = new Set(['url', 'source', 'target', 'targetSystem', 'system']);
const URI = /^[a-z][a-z0-9+.-]*:[\x21-\x7e]{1,1000}$/i;

function checked(name: keyof typeof TYPES, value: unknown): unknown {
  const type = TYPES[name];
  const isRight =
    type === 'valueBoolean'
      ? typeof value === 'boolean'
      : type === 'valueInteger'
        ? Number.isSafeInteger(value) && (value as number) >= 0
        : type === 'valueCoding' || type === 'valueCodeableConcept'
          ? typeof value === 'object' && value !== null
          : typeof value === 'string' && value !== '' && (!CANONICAL.has(name) || URI.test(value));
  if (!isRight) {
    throw new MedplumBadRequestError(
      `The value of the parameter ${shownName(name)} does not have the type that the operation takes (${type}).`,
    );
  }
  return value;
}

/**
 * Describes a terminology operation. All of them only read.
 *
 * @throws MedplumBadRequestError when a parameter is unknown, or its value has the wrong type.
 */
export function terminologyOperation(
  resourceType: 'ValueSet' | 'CodeSystem' | 'ConceptMap',
  operation: string,
  input: object,
): OperationCall {
  const parameter: ParametersParameter[] = [];
  for (const [given, values] of Object.entries(input)) {
    if (!Object.hasOwn(TYPES, given)) {
      throw new MedplumBadRequestError(`${shownName(given)} is not a parameter of ${operation}. Check its spelling.`);
    }
    const name = given as keyof typeof TYPES;
    for (const value of [values].flat()) {
      if (value !== undefined) {
        parameter.push({ name, [TYPES[name]]: checked(name, value) });
      }
    }
  }
  return { operation, resourceType, input: { resourceType: 'Parameters', parameter }, readOnly: true };
}

/** @throws MedplumBadRequestError unless the input names its concept in exactly one way. */
export function checkOneConcept(input: (LookupInput & ValidateCodeInput) | TranslateInput, needsSystem: boolean): void {
  const { code, system, coding, codeableConcept } = input;
  const ways = [code, coding, codeableConcept].filter((way) => way !== undefined);
  if (ways.length !== 1 || (needsSystem && code !== undefined && system === undefined)) {
    throw new MedplumBadRequestError(
      `The concept must be named in exactly one way: by a coding, a codeableConcept, or a code${needsSystem ? ' with its system' : ''}.`,
    );
  }
}
