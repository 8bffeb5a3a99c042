/** The name of a FHIR resource type, as a part of regular expressions. */
export const RESOURCE_TYPE = '[A-Z][A-Za-z]{1,63}';

const TYPE = new RegExp(`^${RESOURCE_TYPE}$`);

/** Whether `value` is written like the name of a resource type. */
export function isResourceType(value: unknown): value is string {
  return typeof value === 'string' && TYPE.test(value);
}
