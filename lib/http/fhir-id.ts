/** FHIR R4 section 2.24.0.1, type `id`. Sent unchanged: Medplum's upper-case ids are other ids. */
const ID = /^[A-Za-z0-9.-]{1,64}$/;

/** Whether `value` may stand as an id in a path or in a reference. A URL would resolve `.` and `..`. */
export function isFhirId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value) && value !== '.' && value !== '..';
}
