import type { SearchRequest } from '@medplum/core';
import type { StoredResource } from './emulator.types';
import { core } from './medplum-peers';

/** A resource with only the fields that `_elements`, `_fields` or `_summary` keep, and with the tag that says so. */
export function withFields(resource: StoredResource, { fields, summary }: SearchRequest): StoredResource {
  const kept = keptFields(resource, fields, summary);
  return kept ? (core.subsetResource(structuredClone(resource), kept) as StoredResource) : resource;
}

/** Required fields stay, unless `_summary=true` chooses. */
function keptFields(
  resource: StoredResource,
  fields: SearchRequest['fields'],
  summary: SearchRequest['summary'],
): string[] | undefined {
  const { mandatoryProperties = [], summaryProperties = [] } = core.getDataType(resource.resourceType);
  if (fields) {
    return [...mandatoryProperties, ...fields];
  }
  switch (summary) {
    case 'data':
      return Object.keys(resource).filter((key) => key !== 'text');
    case 'text':
      return ['text', ...mandatoryProperties];
    case 'true':
      return [...summaryProperties];
    default:
      return undefined;
  }
}
