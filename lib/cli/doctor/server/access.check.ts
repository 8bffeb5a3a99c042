import type { AccessPolicy, AccessPolicyResource, ProjectMembership } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { read } from '../../../fhir/interactions';
import { asOperationOutcome, isIdentityRefusal } from '../../../http/response-error';
import { WireFailure } from '../../../http/wire';
import { isFhirId, isResourceType } from '../../../shared/fhir-id';
import { objects } from '../../../shared/objects';
import { type Check, type Finding, ok, problem } from '../check';
import { accessTable, EVERYTHING } from './access-table';
import type { BehaviourLine, ServerContext } from './server-context';
import type { ProbeResponse } from './server-probe';

/** Whether the server acts for the identity, and what it may do then. */
export const accessCheck: Check<ServerContext> = {
  name: 'access',
  skip: ({ noIdentity, membership }) =>
    noIdentity ?? (membership ? undefined : 'the identity does not mean exactly one membership'),
  async run(context) {
    const { membership } = context;
    if (!membership) {
      return [];
    }
    const response = await context.asClient('auth/me', context.settings.onBehalfOf);
    if (response instanceof WireFailure) {
      return [unknown(response.code)];
    }
    const rateLimited = response.header('ratelimit') !== undefined;
    if (isIdentityRefusal(response.status, asOperationOutcome(response.body.value), { rateLimited })) {
      return [await refused(context, membership, response)];
    }
    if (response.status !== 200) {
      return [unknown(String(response.status))];
    }
    // The server fills in the variables of parameterised policies, and merges several policies into one.
    const policy = response.body.object('accessPolicy');
    const rules = policy.get('resource') as readonly AccessPolicyResource[] | undefined;
    const known = policy.has('resourceType') ? rules : await readRules(context, membership);
    return [described(known, context.line ?? '5.0')];
  },
};

/** @param rules `undefined` if the membership has no policy. */
function described(rules: readonly AccessPolicyResource[] | undefined, line: BehaviourLine): Finding {
  if (rules === undefined) {
    return { ...ok('Without a policy, the identity may do this:'), access: [EVERYTHING] };
  }
  const access = accessTable(rules, line);
  if (access.length === 0) {
    return problem(
      'The access policy grants nothing.',
      'Every call on behalf of this identity is refused with MedplumForbiddenError.',
      'Add the types of resources that the user needs to the access policy.',
    );
  }
  return { ...ok('The identity may do this ("some": the criteria of the policy limit it):'), access };
}

function unknown(status: string): Finding {
  const fix = 'Run doctor again. If a proxy is in front of Medplum, let it pass /auth/me on.';
  return problem(`The server does not say what the identity may do (${status}).`, 'Its rights are not known.', fix);
}

/** What the server writes when a policy of the membership was deleted: in the text, or in the diagnostics since 5.1. */
const NO_POLICY = /Invalid access policy configuration/;

/** Why the server refuses to act for a membership that exists. */
async function refused(
  context: ServerContext,
  membership: ProjectMembership,
  response: ProbeResponse,
): Promise<Finding> {
  const what = `The server refuses to act for the identity (${response.status}).`;
  const why = 'Every call on its behalf fails with OnBehalfOfRejectedError.';
  const issues = objects(asOperationOutcome(response.body.value)?.issue);
  if (issues.some(({ details, diagnostics }) => NO_POLICY.test(`${details?.text} ${diagnostics}`))) {
    const fix = 'Give the membership an access policy that exists.';
    return problem(`${what} An access policy of the membership is gone.`, why, fix);
  }
  const [type, id] = membership.profile?.reference?.split('/') ?? [];
  if (isResourceType(type) && isFhirId(id) && (await isHidden(context, type, id))) {
    return problem(
      `${what} The client cannot read the profile of the membership.`,
      why,
      'If the profile was deleted, restore it or delete the membership. If the client has an access policy of its own, let it grant reading of this type.',
    );
  }
  const fix = 'Check that the membership is in the project of the client, and that the client may read its profile.';
  return problem(what, why, fix);
}

async function isHidden(context: ServerContext, type: string, id: string): Promise<boolean> {
  const response = await context.asClient(read(type, id).path);
  return !(response instanceof WireFailure) && [403, 404, 410].includes(response.status);
}

function policyIds({ accessPolicy, access }: ProjectMembership): string[] {
  const references = [accessPolicy, ...objects(access).map(({ policy }) => policy)];
  return references
    .map((reference) => reference?.reference?.split('/')[1])
    .filter((id): id is string => id !== undefined && isFhirId(id));
}

/** The rules of the policies as they are written; `undefined` if the membership has none. */
async function readRules(
  context: ServerContext,
  membership: ProjectMembership,
): Promise<AccessPolicyResource[] | undefined> {
  const ids = policyIds(membership);
  const rules: AccessPolicyResource[] = [];
  for (const id of ids) {
    const response = await context.asClient(read('AccessPolicy', id).path);
    const policy = response instanceof WireFailure ? undefined : (response.body.value as Partial<AccessPolicy>);
    rules.push(...objects(policy?.resource));
  }
  return ids.length === 0 ? undefined : rules;
}
