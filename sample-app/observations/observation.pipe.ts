import { Injectable, type PipeTransform } from '@nestjs/common';
import type { Observation } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { isFhirId } from '../fhir/fhir-id.pipe';
import { checkedResource, isObject, isText } from '../fhir/resource.checks';

/** An observation of one patient. */
export type PatientObservation = Observation & { subject: { reference: string } };

/** The FHIR R4 value set ObservationStatus. */
const STATUSES: readonly unknown[] = [
  'registered',
  'preliminary',
  'final',
  'amended',
  'corrected',
  'cancelled',
  'entered-in-error',
  'unknown',
];

/** Checks an observation in a request body. */
@Injectable()
export class ObservationPipe implements PipeTransform<unknown, PatientObservation> {
  /** @throws BadRequestException */
  transform(body: unknown): PatientObservation {
    return checkedResource<PatientObservation>(body, 'Observation', ({ status, code, subject }) => [
      !STATUSES.includes(status) && `status must be one of ${STATUSES.join(', ')}.`,
      !isCoded(code) && 'code must have a text, or a coding with a code.',
      !isPatient(subject) && 'subject.reference must be Patient/<id>.',
    ]);
  }
}

function isCoded(code: unknown): boolean {
  if (!isObject(code)) {
    return false;
  }
  const { text, coding } = code;
  const first: unknown = Array.isArray(coding) ? coding[0] : undefined;
  return isText(text) || (isObject(first) && isText(first['code']));
}

function isPatient(subject: unknown): boolean {
  const reference = isObject(subject) ? subject['reference'] : undefined;
  return typeof reference === 'string' && reference.startsWith('Patient/') && isFhirId(patientId(reference));
}

/** The id in `Patient/<id>`. */
export function patientId(reference: string): string {
  return reference.slice('Patient/'.length);
}
