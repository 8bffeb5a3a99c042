import { Injectable, type PipeTransform } from '@nestjs/common';
import type { Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { checkedResource, isObject, isText, type Json } from '../fhir/resource.checks';

const GENDERS: readonly unknown[] = [undefined, 'male', 'female', 'other', 'unknown'];

/** Checks a patient in a request body. */
@Injectable()
export class PatientPipe implements PipeTransform<unknown, Patient> {
  /** @throws BadRequestException */
  transform(body: unknown): Patient {
    return checkedResource<Patient>(body, 'Patient', ({ name, gender, birthDate }) => [
      !isNamed(name) && 'name must be a list whose first entry has a family or a given name.',
      !GENDERS.includes(gender) && 'gender must be male, female, other or unknown.',
      birthDate !== undefined && !isDay(birthDate) && 'birthDate must be a day, written YYYY-MM-DD.',
    ]);
  }
}

function isNamed(names: unknown): boolean {
  const first: unknown = Array.isArray(names) ? names[0] : undefined;
  return isObject(first) && (isText(first['family']) || isGiven(first));
}

function isGiven({ given }: Json): boolean {
  return Array.isArray(given) && isText(given[0]);
}

/** `Date` turns 31 February into 3 March, so a real day must come out as it went in. */
function isDay(value: unknown): boolean {
  if (typeof value !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(value)) {
    return false;
  }
  const date = new Date(`${value}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(value);
}
