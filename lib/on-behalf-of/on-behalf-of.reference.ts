import { OnBehalfOfReferenceError } from '../errors/on-behalf-of.errors';
import { FHIR_ID } from '../shared/fhir-id';
import { knownType } from '../shared/known-types';

/** The types of profiles that a call can act as. */
const PROFILE_TYPES = ['Practitioner', 'Patient', 'RelatedPerson', 'Bot', 'ClientApplication'] as const;
type ProfileType = (typeof PROFILE_TYPES)[number];

/**
 * The identity of a call, as the header `X-Medplum-On-Behalf-Of` names it. `ProjectMembership/<id>` is the direct form.
 * For a profile, the server looks up its membership. If a profile has several, the server uses an arbitrary one.
 */
export type OnBehalfOfReference = `ProjectMembership/${string}` | `${ProfileType}/${string}`;

/**
 * The forms in which you can name an identity: a reference, the bare id of a ProjectMembership, a resource
 * (`{ resourceType, id }`), or a FHIR Reference (`{ reference }`).
 */
export type OnBehalfOfInput =
  | OnBehalfOfReference
  | (string & {})
  | { readonly resourceType: string; readonly id?: string }
  | { readonly reference?: string };

const CLIENT = 'ClientApplication/';
const REFERENCE = new RegExp(`^(?:${['ProjectMembership', ...PROFILE_TYPES].join('|')})/${FHIR_ID}$`);

function refuse(where: string, problem: string): never {
  throw new OnBehalfOfReferenceError(
    `${where} ${problem}. Expected ProjectMembership/<id>, the bare id of a membership, or the reference of one profile ` +
      `(${PROFILE_TYPES.join(', ')}). Nothing was sent.`,
  );
}

function textOf(input: unknown, where: string): string {
  if (typeof input === 'string') {
    return input;
  }
  if (typeof input !== 'object' || input === null) {
    return refuse(where, `is ${input === null ? 'null' : typeof input}`);
  }
  const { resourceType, id, reference } = input as { resourceType?: unknown; id?: unknown; reference?: unknown };
  if (typeof reference === 'string' && resourceType === undefined) {
    return reference.includes('/') ? reference : refuse(where, 'is a reference without a type');
  }
  if (typeof resourceType === 'string' && typeof id === 'string') {
    return `${resourceType}/${id}`;
  }
  return refuse(where, 'is an object without a reference, and without both resourceType and id');
}

/** Whether `value` is a full reference. A string in a decorator must be one. */
export function isOnBehalfOfReference(value: string): value is OnBehalfOfReference {
  return REFERENCE.test(value);
}

/**
 * Turns `input` into one reference.
 *
 * It refuses everything that is not exactly one reference, because Medplum would accept too much: an empty header runs
 * the request as the client, a comma means OR, and a path after the id is ignored.
 *
 * @param where how an error message names the value, such as `The onBehalfOf option`.
 * @param clientId the id of the client itself. It is refused, because it would give the rights of a project admin by
 * accident.
 * @throws OnBehalfOfReferenceError when `input` is not exactly one reference.
 */
export function parseOnBehalfOf(input: unknown, where: string, clientId: string): OnBehalfOfReference {
  const text = textOf(input, where);
  if (text === '') {
    return refuse(where, 'is empty');
  }
  // A lost id, as in `type` instead of `type/id`. Ids of Medplum are UUIDs, so none is the name of a type.
  if (knownType(text) !== undefined) {
    return refuse(where, 'is the name of a resource type without an id');
  }
  const reference = text.includes('/') ? text : `ProjectMembership/${text}`;
  if (!isOnBehalfOfReference(reference)) {
    return refuse(where, 'is not one well-formed reference to someone who can be acted for');
  }
  if (reference.startsWith(CLIENT) && reference.slice(CLIENT.length).toLowerCase() === clientId.toLowerCase()) {
    return refuse(
      where,
      'is the client itself, whose rights are those of a project admin; use asClientApplication() to say so',
    );
  }
  return reference;
}
