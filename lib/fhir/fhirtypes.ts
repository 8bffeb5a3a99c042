/** The FHIR types of `@medplum/fhirtypes`, in the version that this library uses. */
export type * from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
