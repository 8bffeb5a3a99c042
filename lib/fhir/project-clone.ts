import { MedplumBadRequestError } from '../errors/response.errors';
import type { FhirRequest } from './fhir-request';
import { ACCEPT_AND_PLAIN_JSON, json } from './interactions';
import { operation } from './operations';
import { checkId, checkResourceTypes } from './path-segments';

/** What a copy of a project holds. */
export interface CloneProjectInput {
  /** Name of the new project. Default: that of the original. */
  readonly name?: string;
  /** Types of the resources to copy. Default: all types. The server copies at most 1,000 resources of each type. */
  readonly resourceTypes?: readonly string[];
  /** Ids of the resources to copy. Default: all. */
  readonly includeIds?: readonly string[];
  /** Ids of resources that are not copied. Default: none. */
  readonly excludeIds?: readonly string[];
}

/** POST `Project/[id]/$clone`. The server takes its input as plain JSON, and ignores a Parameters resource. */
export function cloneProject(id: string, input: CloneProjectInput): FhirRequest {
  const { name, resourceTypes, includeIds, excludeIds } = input;
  if (name !== undefined && (typeof name !== 'string' || name.trim() === '')) {
    throw new MedplumBadRequestError('The name of the copy must be text that is not empty.');
  }
  const body = {
    name,
    resourceTypes: resourceTypes && checkResourceTypes(resourceTypes, 'types of the resources to copy'),
    includeIds: includeIds && checkIds(includeIds),
    excludeIds: excludeIds && checkIds(excludeIds),
  };
  return {
    ...operation({ operation: 'clone', resourceType: 'Project', id }),
    headers: ACCEPT_AND_PLAIN_JSON,
    body: json(body, 'input of $clone'),
    expects: 'resource',
  };
}

function checkIds(ids: readonly string[]): readonly string[] {
  // Without an id, the server would copy everything.
  if (!Array.isArray(ids) || ids.length === 0) {
    throw new MedplumBadRequestError('The ids to copy or to leave out must be a list of at least one id.');
  }
  return ids.map((id) => checkId(id, 'id of a resource to copy or to leave out'));
}
