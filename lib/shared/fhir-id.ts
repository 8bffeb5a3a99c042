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

/** The name of a FHIR resource type, as a part of regular expressions. */
export const RESOURCE_TYPE = '[A-Z][A-Za-z]{1,63}';

const TYPE = new RegExp(`^${RESOURCE_TYPE}$`);

/** Whether `value` is written like the name of a resource type. */
export function isResourceType(value: unknown): value is string {
  return typeof value === 'string' && TYPE.test(value);
}

/** The type, id and version of a resource, as far as they are well-formed. */
export interface ResourceKey {
  readonly type: string | undefined;
  readonly id: string | undefined;
  readonly version: string | undefined;
}

/** Reads the type, id and version of a resource. An id without a type names nothing. Runs for each entry of a bundle. */
export function resourceKey(value: unknown): ResourceKey {
  const resource = Object(value) as { resourceType?: unknown; id?: unknown; meta?: { versionId?: unknown } };
  const type = isResourceType(resource.resourceType) ? resource.resourceType : undefined;
  const id = type !== undefined && isFhirId(resource.id) ? resource.id : undefined;
  const version = resource.meta?.versionId;
  return { type, id, version: isFhirId(version) ? version : undefined };
}
