/**
 * FHIR R4 section 2.24.0.1, type `id`, as a part of regular expressions that ends where they end. Ids are sent unchanged:
 * Medplum's upper-case ids are other ids. A URL would resolve `.` and `..`.
 */
export const FHIR_ID = '(?!\\.{1,2}$)[A-Za-z0-9.-]{1,64}';

const ID = new RegExp(`^${FHIR_ID}$`);

/** Whether `value` may stand as an id in a path or in a reference. */
export function isFhirId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value);
}
