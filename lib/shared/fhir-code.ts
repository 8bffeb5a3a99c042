/** In characters. Longer codes are refused, because documents do not belong in an event. */
const LONGEST = 256;

/** A FHIR `code`: no blanks at its ends, and only single ones inside (https://hl7.org/fhir/R4/datatypes.html#code). */
const CODE = /^[^\s\p{Cc}]+(?: [^\s\p{Cc}]+)*$/u;

/** Whether `value` is a FHIR `code`. */
export function isFhirCode(value: unknown): value is string {
  return typeof value === 'string' && value.length <= LONGEST && CODE.test(value);
}
