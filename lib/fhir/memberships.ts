import type { Bundle, Identifier, ProjectMembership } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import { isFhirId } from '../shared/fhir-id';
import { objects } from '../shared/objects';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { ACCEPT_AND_PLAIN_JSON, json } from './interactions';
import { checkId } from './path-segments';
import type { WithId } from './resource.types';
import { search, splitBundle } from './search';
import { literal, referenceTo, token } from './search-values';

/** How to find a membership. Pass exactly one of these. A membership matches only if the whole value is equal. */
export interface MembershipQuery {
  /** The profile, such as `Practitioner/id` or `Patient/id`. */
  readonly profile?: string;
  /** The id that an identity provider gave. Upper and lower case differ. */
  readonly externalId?: string;
  /** An identifier of the membership. Without a `system`, that of any system matches. */
  readonly identifier?: Identifier;
  /** The e-mail address of the user. Medplum keeps addresses in lower case, so upper and lower case are the same. */
  readonly email?: string;
}

/** The person to invite. */
export interface Invitation {
  /** Type of the profile that the server creates. */
  readonly resourceType: 'Patient' | 'Practitioner' | 'RelatedPerson';
  /** Given name. */
  readonly firstName: string;
  /** Family name. */
  readonly lastName: string;
  /** E-mail address. Pass this or `externalId`. */
  readonly email?: string;
  /** The id that an identity provider gave. */
  readonly externalId?: string;
  /** Initial password. */
  readonly password?: string;
  /** Whether the server sends an e-mail. The server's default is `true`. */
  readonly sendEmail?: boolean;
  /** `project`: the user exists in this project only. */
  readonly scope?: 'project' | 'server';
  /** For a RelatedPerson: the patient. */
  readonly patient?: { readonly reference: string };
  /** Further fields of the membership, such as `accessPolicy`. Without any policy, it may do everything. */
  readonly membership?: Partial<ProjectMembership>;
}

/** What the event of an invitation records when the arguments are refused. */
export const INVITE = {
  action: 'create',
  method: 'POST',
  pathTemplate: '/admin/projects/{id}/invite',
} as const satisfies FhirInteraction;

/** Medplum's largest page. One person has few memberships, so one page holds them all. */
const ALL = 1_000;

/**
 * GET `ProjectMembership?…`. Without `:exact`, Medplum searches text by its beginning, in upper and lower case: `sub-1`
 * also finds `sub-10`, which is somebody else.
 */
export function findMemberships(query: MembershipQuery): FhirRequest {
  const { profile, externalId, identifier, email } = query;
  const ways = Object.entries({
    profile: profile === undefined ? undefined : referenceTo(profile),
    'external-id:exact': externalId === undefined ? undefined : literal(externalId),
    identifier: identifier === undefined ? undefined : token(identifier),
    'user:User.email:exact': email === undefined ? undefined : literal(lowerCase(email)),
  }).filter(([, value]) => value !== undefined);
  if (ways.length !== 1) {
    throw new MedplumBadRequestError(
      'To find a membership, pass exactly one of profile, externalId, identifier and email.',
    );
  }
  return search('ProjectMembership', Object.fromEntries(ways), ALL, false);
}

/**
 * The memberships in a response that are the ones that {@link findMemberships} asked for. The server is not trusted to
 * understand `:exact`: Medplum ignores modifiers that it does not know, and a wrong membership is somebody else's rights.
 */
export function foundMemberships(query: MembershipQuery, bundle: Bundle): WithId<ProjectMembership>[] {
  const isAsked = matcher(query);
  return splitBundle<WithId<ProjectMembership>>(bundle).matches.filter(
    (found) => found.resourceType === 'ProjectMembership' && isFhirId(found.id) && isAsked(found),
  );
}

function matcher({
  profile,
  externalId,
  identifier,
  email,
}: MembershipQuery): (membership: ProjectMembership) => boolean {
  if (profile !== undefined) {
    const reference = String(referenceTo(profile));
    return (found) => found.profile?.reference === reference;
  }
  if (externalId !== undefined) {
    return (found) => found.externalId === externalId;
  }
  if (identifier !== undefined) {
    const { system, value } = identifier;
    return (found) =>
      objects(found.identifier).some(
        (one) =>
          (system === undefined || (one.system ?? '') === system) && (value === undefined || one.value === value),
      );
  }
  // The address is in the User, which clients may not read. The reference shows it, for users that have one.
  return ({ user }) => {
    const shown: unknown = user?.display;
    return typeof shown !== 'string' || !shown.includes('@') || shown.toLowerCase() === lowerCase(email);
  };
}

/** Not for the locale of the process: in a Turkish one, `I` would become another letter. */
function lowerCase(text: string | undefined): string {
  return typeof text === 'string' ? text.toLowerCase() : '';
}

/** POST `admin/projects/[id]/invite`. */
export function invite(projectId: string, invitation: Invitation): FhirRequest {
  return {
    ...INVITE,
    path: `admin/projects/${checkId(projectId, 'id of the project')}/invite`,
    query: '',
    resourceType: 'ProjectMembership',
    headers: ACCEPT_AND_PLAIN_JSON,
    body: json(invitation, 'invitation'),
    repeatability: 'unsafe',
    expects: 'resource',
  };
}

/**
 * Returns the id of a membership.
 *
 * @param membership the id, or `ProjectMembership/id`.
 * @throws MedplumBadRequestError when it is neither.
 */
export function membershipId(membership: unknown): string {
  const text = typeof membership === 'string' ? membership.replace(/^ProjectMembership\//, '') : membership;
  return checkId(text, 'id of the ProjectMembership');
}
