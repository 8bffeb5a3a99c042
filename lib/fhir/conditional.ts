import type { Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { FhirRequest } from './fhir-request';
import {
  ACCEPT,
  ACCEPT_AND_CONTENT_TYPE,
  checkResource,
  INTERACTIONS,
  json,
  onType,
  patchBody,
  wipesAccounts,
} from './interactions';
import type { PatchOperation } from './resource.types';
import { conditionQuery } from './search-query';

/** PUT `[type]?…` (FHIR R4 section 3.1.0.4.3). */
export function conditionalUpdate(resource: Resource, query: unknown): FhirRequest {
  checkResource(resource);
  return {
    ...onType(INTERACTIONS.conditionalUpdate, resource.resourceType),
    query: conditionQuery(query),
    headers: ACCEPT_AND_CONTENT_TYPE,
    body: json(resource, 'resource'),
    repeatability: 'unsafe',
    expects: 'resource',
    ...(wipesAccounts(resource) ? { extended: false } : {}),
  };
}

/** PATCH `[type]?…` (FHIR R4 section 3.1.0.6.1). */
export function conditionalPatch(type: string, query: unknown, operations: readonly PatchOperation[]): FhirRequest {
  return {
    ...onType(INTERACTIONS.conditionalPatch, type),
    query: conditionQuery(query),
    ...patchBody(operations),
    expects: 'resource',
  };
}

/** DELETE `[type]?…` (FHIR R4 section 3.1.0.7.1). */
export function conditionalDelete(type: string, query: unknown): FhirRequest {
  return {
    ...onType(INTERACTIONS.conditionalDelete, type),
    query: conditionQuery(query),
    headers: ACCEPT,
    repeatability: 'unsafe',
  };
}
