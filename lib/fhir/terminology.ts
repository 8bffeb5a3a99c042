import type { CodeableConcept, Coding, ParametersParameter } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownName } from '../errors/shown';
import type { OperationCall } from './operations';

/** Input of `$expand` (FHIR R4 section 4.9.18.1). */
export interface ExpandInput {
  /** Canonical URL of the value set, with `|version` if wanted. */
  readonly url: string;
  /** Text that the concepts must contain. */
  readonly filter?: string;
  /** How many concepts are skipped. */
  readonly offset?: number;
  /** Most concepts in the answer. */
  readonly count?: number;
  /** Also what the concepts are called elsewhere. */
  readonly includeDesignations?: boolean;
  /** Leave out concepts that are no longer in use. */
  readonly activeOnly?: boolean;
  /** A flat list instead of a tree. */
  readonly excludeNested?: boolean;
  /** Leave out concepts that users are not meant to choose. */
  readonly excludeNotForUI?: boolean;
  /** Leave out concepts that are put together from others. */
  readonly excludePostCoordinated?: boolean;
  /** BCP 47 language of the displays. */
  readonly displayLanguage?: string;
  /** Codes of the properties to return. */
  readonly property?: readonly string[];
}

/** Input of `$lookup` (FHIR R4 section 4.8.21.1): a coding, or a code and its system. */
export interface LookupInput {
  /** The code; with it, name its system where the operation needs one. */
  readonly code?: string;
  /** Canonical URL of the code system. */
  readonly system?: string;
  /** The concept as a coding. */
  readonly coding?: Coding;
  /** Version of the code system. */
  readonly version?: string;
  /** dateTime for which the answer is meant. */
  readonly date?: string;
  /** BCP 47 language of the displays. */
  readonly displayLanguage?: string;
  /** Codes of the properties to return. */
  readonly property?: readonly string[];
}

/** Input of `$validate-code` (FHIR R4 sections 4.9.18.2 and 4.8.21.2). One of code, coding and codeableConcept is needed. */
export interface ValidateCodeInput {
  /** Canonical URL of the value set, or of the code system. */
  readonly url: string;
  /** The code; with it, name its system where the operation needs one. */
  readonly code?: string;
  /** For value sets: the system of the code. */
  readonly system?: string;
  /** The concept as a coding. */
  readonly coding?: Coding;
  /** For value sets. */
  readonly codeableConcept?: CodeableConcept;
  /** For value sets: a display to check. */
  readonly display?: string;
  /** For value sets. */
  readonly abstract?: boolean;
  /** For code systems. */
  readonly version?: string;
}

/** Input of `$translate` (FHIR R4 section 4.10.17.1): one of codeableConcept, coding, and code with system. */
export interface TranslateInput {
  /** Canonical URL of the concept map. */
  readonly url?: string;
  /** Version of the concept map. */
  readonly conceptMapVersion?: string;
  /** The code; with it, name its system where the operation needs one. */
  readonly code?: string;
  /** Canonical URL of the code system. */
  readonly system?: string;
  /** The concept as a coding. */
  readonly coding?: Coding;
  /** The concept as a CodeableConcept. */
  readonly codeableConcept?: CodeableConcept;
  /** Canonical URL of the value set of the source. */
  readonly source?: string;
  /** Canonical URL of the value set of the target. */
  readonly target?: string;
  /** Canonical URL of the code system of the target. */
  readonly targetSystem?: string;
  /** Translate from the target to the source. Default `false`. */
  readonly reverse?: boolean;
}

/** How each parameter of these operations is typed. */
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

/** Parameters whose value is a canonical URL (FHIR R4 section 2.24.0.1: `uri`, then `|version`). */
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
    throw new MedplumBadRequestError(`The parameter ${shownName(name)} is not of the type that the operation takes.`);
  }
  return value;
}

/** A terminology operation: all of them read only. Parameters that it does not know are an error. */
export function terminologyOperation(
  resourceType: 'ValueSet' | 'CodeSystem' | 'ConceptMap',
  operation: string,
  input: object,
): OperationCall {
  const parameter: ParametersParameter[] = [];
  for (const [given, values] of Object.entries(input)) {
    if (!Object.hasOwn(TYPES, given)) {
      throw new MedplumBadRequestError(`${shownName(given)} is no parameter of ${operation}.`);
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

/** @throws MedplumBadRequestError unless exactly one of the ways to name a concept is used. */
export function checkOneConcept(input: (LookupInput & ValidateCodeInput) | TranslateInput, needsSystem: boolean): void {
  const { code, system, coding, codeableConcept } = input;
  const ways = [code, coding, codeableConcept].filter((way) => way !== undefined);
  if (ways.length !== 1 || (needsSystem && code !== undefined && system === undefined)) {
    throw new MedplumBadRequestError(
      `The concept must be named in one way: a coding, a codeableConcept, or a code${needsSystem ? ' with its system' : ''}.`,
    );
  }
}
