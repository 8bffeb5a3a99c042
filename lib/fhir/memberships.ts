import type { Identifier, ProjectMembership } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { json } from './interactions';
import { checkId } from './path-segments';
import { search } from './search';
import { literal, referenceTo, token } from './search-values';

/** How a membership is found: exactly one of them. */
export interface MembershipQuery {
  /** `Practitioner/id`, `Patient/id` … */
  readonly profile?: string;
  /** The id that an identity provider gave. */
  readonly externalId?: string;
  /** An identifier of the membership. */
  readonly identifier?: Identifier;
  /** The e-mail address of the user. */
  readonly email?: string;
}

/** Whom to invite. */
export interface Invitation {
  /** Type of the profile that is made. */
  readonly resourceType: 'Patient' | 'Practitioner' | 'RelatedPerson';
  /** Given name. */
  readonly firstName: string;
  /** Family name. */
  readonly lastName: string;
  /** E-mail address or external id is needed. */
  readonly email?: string;
  /** The id that an identity provider gave. */
  readonly externalId?: string;
  /** A password to begin with. */
  readonly password?: string;
  /** Default `true` on the server. */
  readonly sendEmail?: boolean;
  /** `project`: a user of this project alone. */
  readonly scope?: 'project' | 'server';
  /** For a RelatedPerson: of whom. */
  readonly patient?: { readonly reference: string };
  /** What else the membership says: `accessPolicy`, `access`, `profile` … Without any policy it may do everything. */
  readonly membership?: Partial<ProjectMembership>;
}

/** What the event of an invitation says when its arguments are refused. */
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
    throw new MedplumBadRequestError('A membership is found by one of profile, externalId, identifier and email.');
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
    headers: { accept: 'application/fhir+json', 'content-type': 'application/json' },
    body: json(invitation, 'invitation'),
    repeatability: 'unsafe',
  };
}

/** The id of a membership that is named by it or as `ProjectMembership/id`. */
export function membershipId(membership: unknown): string {
  const text = typeof membership === 'string' ? membership.replace(/^ProjectMembership\//, '') : membership;
  return checkId(text, 'id of the ProjectMembership');
}
