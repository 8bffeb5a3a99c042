import { MedplumBadRequestError } from '../errors/response.errors';
import { isFhirId, isResourceType } from '../shared/fhir-id';

/** Whether `value` refers to one resource as `Type/id`. */
export function isTypedReference(value: unknown): value is string {
  const [type, id, ...rest] = typeof value === 'string' ? value.split('/') : [];
  return isResourceType(type) && isFhirId(id) && rest.length === 0;
}

/** @throws MedplumBadRequestError unless `value` is a resource id; `what` names the argument in the message. */
export function checkId(value: unknown, what: string): string {
  if (!isFhirId(value)) {
    throw new MedplumBadRequestError(`The ${what} must be a FHIR id: 1 to 64 letters, digits, dots and dashes.`);
  }
  return value;
}

/** @throws MedplumBadRequestError unless `value` is written like the name of a resource type. */
export function checkResourceType(value: unknown): string {
  if (!isResourceType(value)) {
    throw new MedplumBadRequestError('The resource type must be the name of a FHIR resource, such as Patient.');
  }
  return value;
}

/** @throws MedplumBadRequestError unless `values` lists at least one resource type; `what` names it in the message. */
export function checkResourceTypes(values: unknown, what: string): string[] {
  if (!Array.isArray(values) || values.length === 0) {
    throw new MedplumBadRequestError(`The ${what} must be a list of at least one resource type.`);
  }
  return values.map(checkResourceType);
}
