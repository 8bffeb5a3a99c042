import type { Bundle, ProjectMembership } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { read } from '../../../fhir/interactions';
import { findMemberships, membershipId } from '../../../fhir/memberships';
import { WireFailure } from '../../../http/wire';
import { objects } from '../../../shared/objects';
import { type Check, type Finding, ok, problem, warning } from '../check';
import type { ServerContext } from './server-context';

/** Whether the identity means exactly one membership, which is active and has a policy. */
export const identityCheck: Check<ServerContext> = {
  name: 'identity',
  skip: ({ noIdentity }) => noIdentity,
  async run(context) {
    const reference = context.settings.onBehalfOf ?? '';
    const found = await lookUp(context, reference);
    if (!Array.isArray(found)) {
      return [found];
    }
    const active = found.filter((membership) => membership.active !== false);
    context.membership = found.length === 1 ? found[0] : undefined;
    const [membership] = found;
    if (!membership) {
      return [nobody(reference)];
    }
    return found.length > 1
      ? [ambiguous(found.length, active.length)]
      : [...activity(membership), ...rights(membership, context.settings.clientId?.value)];
  },
};

/** The memberships that the reference means, or what went wrong. */
async function lookUp(context: ServerContext, reference: string): Promise<ProjectMembership[] | Finding> {
  const isDirect = reference.startsWith('ProjectMembership/');
  const { path, query } = isDirect
    ? read('ProjectMembership', membershipId(reference))
    : findMemberships({ profile: reference });
  const response = await context.asClient(query === '' ? path : `${path}?${query}`);
  if (response instanceof WireFailure) {
    return lookUpFailed(response.code);
  }
  if (isDirect && (response.status === 404 || response.status === 410)) {
    return [];
  }
  if (response.status !== 200) {
    return lookUpFailed(String(response.status));
  }
  const resource: unknown = response.body.value;
  const found = isDirect
    ? [resource as ProjectMembership]
    : objects((resource as Bundle).entry).map((entry) => entry.resource as ProjectMembership | undefined);
  return found.filter(
    (membership): membership is ProjectMembership =>
      membership?.resourceType === 'ProjectMembership' && (isDirect || membership.profile?.reference === reference),
  );
}

function lookUpFailed(status: string): Finding {
  const fix = 'Run doctor again. If it stays so, look at the log of the Medplum server.';
  return problem(`The memberships cannot be looked up (${status}).`, 'It is not known what the identity may do.', fix);
}

function nobody(reference: string): Finding {
  const why = 'Medplum refuses every call on behalf of this identity.';
  return reference.startsWith('ProjectMembership/')
    ? problem(
        'There is no such ProjectMembership in the project of the client.',
        why,
        'Check the id. It must be that of a ProjectMembership, not of the user or the profile, in the project of the client.',
      )
    : problem(
        'The profile has no membership in the project of the client.',
        why,
        'Check the reference. If the person is new, invite them to the project (medplum.memberships.invite).',
      );
}

function ambiguous(all: number, active: number): Finding {
  const what = `The profile has ${all} memberships, ${active} of them active.`;
  const fix = 'Act as ProjectMembership/<id> instead of the profile, and delete memberships that nobody needs.';
  const why = 'Medplum acts as an arbitrary one of them, also as an inactive one, and so with arbitrary rights.';
  return active === 1
    ? warning(what, why, `${fix} Or set membershipCheck: true, which takes the active one.`)
    : problem(what, why, fix);
}

function activity({ active }: ProjectMembership): Finding[] {
  if (active !== false) {
    return [ok('The identity means one active membership.')];
  }
  return [
    problem(
      'The membership is inactive.',
      'Medplum refuses the login of such a user, but still accepts calls on their behalf: the app lets somebody in who has left.',
      'Set membershipCheck: true, so that the library refuses inactive memberships. If the person may come back, set active: true on the ProjectMembership.',
    ),
  ];
}

function rights({ admin, accessPolicy, access, profile }: ProjectMembership, clientId: string | undefined): Finding[] {
  const findings: Finding[] = [];
  if (clientId !== undefined && profile?.reference === `ClientApplication/${clientId}`) {
    const why = 'Acting as it gives the rights of a project admin.';
    findings.push(problem('The membership is that of the client itself.', why, 'Name the membership of a user.'));
  } else if (admin === true) {
    findings.push(
      warning(
        'The membership is a project admin.',
        'Calls on its behalf may change memberships and policies. With membershipCheck, the library refuses it.',
        'Give the user a membership without admin, or allow it (membershipCheck: { allowAdminIdentity: true }).',
      ),
    );
  }
  if (accessPolicy === undefined && objects(access).length === 0) {
    const what = 'The membership has no access policy.';
    const why = 'Without a policy, it may read and write everything in the project.';
    const fix = 'Give it an access policy. To refuse such memberships, set membershipCheck: { requirePolicy: true }.';
    findings.push(admin === true ? warning(what, why, fix) : problem(what, why, fix));
  }
  return findings;
}
