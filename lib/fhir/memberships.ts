import type { Identifier, ProjectMembership } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { ACCEPT_AND_PLAIN_JSON, json } from './interactions';
import { checkId } from './path-segments';
import { search } from './search';
import { literal, referenceTo, token } from './search-values';

/** How to find a membership. Pass exactly one of these. */
export interface MembershipQuery {
  /** The profile, such as `Practitioner/id` or `Patient/id`. */
  readonly profile?: string;
  /** The id that an identity provider gave. */
  readonly externalId?: string;
  /** An identifier of the membership. */
  readonly identifier?: Identifier;
  /** The e-mail address of the user. */
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

/** GET `ProjectMembership?…`. */
export function findMemberships(query: MembershipQuery): FhirRequest {
  const { profile, externalId, identifier, email } = query;
  const ways = Object.entries({
    profile: profile === undefined ? undefined : referenceTo(profile),
    'external-id': externalId === undefined ? undefined : literal(externalId),
    identifier: identifier === undefined ? undefined : token(identifier),
    'user:User.email': email === undefined ? undefined : literal(email),
  }).filter(([, value]) => value !== undefined);
  if (ways.length !== 1) {
    throw new MedplumBadRequestError(
      'To find a membership, pass exactly one of profile, externalId, identifier and email.',
    );
  }
  return search('ProjectMembership', Object.fromEntries(ways), undefined, false);
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
