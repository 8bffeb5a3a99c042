import { MedplumBadRequestError } from '../errors/response.errors';
import { isFhirId } from '../http/fhir-id';

const RESOURCE_TYPE = /^[A-Z][A-Za-z]{1,63}$/;

/** @throws MedplumBadRequestError unless `value` is a resource id; `what` names the argument. */
export function checkId(value: unknown, what: string): string {
  if (!isFhirId(value)) {
    throw new MedplumBadRequestError(`The ${what} must be a FHIR id: 1 to 64 letters, digits, dots and dashes.`);
  }
  return value;
}

/** @throws MedplumBadRequestError unless `value` is written like a resource type. */
export function checkResourceType(value: unknown): string {
  if (typeof value !== 'string' || !RESOURCE_TYPE.test(value)) {
    throw new MedplumBadRequestError('The resource type must be the name of a FHIR resource, such as Patient.');
  }
  return value;
}
