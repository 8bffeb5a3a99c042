import { isFhirId } from '../shared/fhir-id';
import type { FhirRequest } from './fhir-request';

/** Why a response of success is not what was asked for. */
export interface ResponseProblem {
  readonly text: string;
  /** The body is missing. The status alone then says that a write took effect. */
  readonly isEmpty: boolean;
}

/**
 * Checks that a response of success is about what was asked for: the resource that was named, a resource of the type
 * that was named, or a bundle. A mix-up, of a proxy for instance, must not show somebody else's record.
 */
export function responseProblem(
  { expects, resourceType, resourceId }: FhirRequest,
  body: unknown,
): ResponseProblem | undefined {
  if (expects === undefined) {
    return undefined;
  }
  if (body === undefined) {
    return { text: 'has no body', isEmpty: true };
  }
  const { resourceType: type, id } = Object(body) as { resourceType?: unknown; id?: unknown };
  if (expects === 'bundle') {
    return type === 'Bundle' ? undefined : { text: 'is not a Bundle', isEmpty: false };
  }
  if (type !== resourceType) {
    return { text: 'is about another resource type than the request', isEmpty: false };
  }
  const isAsked = expects === 'instance' ? sameId(id, resourceId) : isFhirId(id);
  return isAsked ? undefined : { text: 'is about another resource than the request, or has no id', isEmpty: false };
}

/** Medplum finds a resource by an id in upper case, and returns it with its id in lower case. */
function sameId(id: unknown, asked: string | undefined): boolean {
  return typeof id === 'string' && (id === asked || id.toLowerCase() === asked?.toLowerCase());
}
