import { OnBehalfOfReferenceError } from '../errors/on-behalf-of.errors';
import { FHIR_ID } from '../shared/fhir-id';

/** The types that a person, a device or a program can be acted for as. */
const PROFILE_TYPES = ['Practitioner', 'Patient', 'RelatedPerson', 'Bot', 'ClientApplication'] as const;
type ProfileType = (typeof PROFILE_TYPES)[number];

/**
 * Whom a call is made for, as the `X-Medplum-On-Behalf-Of` header names it. `ProjectMembership/<id>` is the direct form;
 * a profile is looked up by the server, and one with several memberships resolves to an arbitrary one of them.
 */
export type OnBehalfOfReference = `ProjectMembership/${string}` | `${ProfileType}/${string}`;

/**
 * Whom to act for, as callers may say it: a reference, the bare id of a ProjectMembership, a resource
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

/** Whether `value` is already the full form, such as a string in a decorator must be. */
export function isOnBehalfOfReference(value: string): value is OnBehalfOfReference {
  return REFERENCE.test(value);
}

/**
 * The one reference that `input` stands for.
 *
 * Everything that is not exactly one reference is refused here, because Medplum is generous: an empty header runs the
 * request as the client, a comma means OR, and a path behind the id is ignored.
 *
 * @param where how an error text names the value, e.g. `The onBehalfOf option`.
 * @param clientId the client's own id: acting for oneself is a way to be admin by accident.
 * @throws OnBehalfOfReferenceError
 */
export function parseOnBehalfOf(input: unknown, where: string, clientId: string): OnBehalfOfReference {
  const text = textOf(input, where);
  if (text === '') {
    return refuse(where, 'is empty');
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
