import { WireFailure } from '../../../http/wire';
import { type Check, type Finding, ok, problem, warning } from '../check';
import type { ClientFacts, ServerContext } from './server-context';

/** Whether the client may act on behalf of others. */
export const adminCheck: Check<ServerContext> = {
  name: 'admin',
  skip: ({ noClient }) => noClient,
  async run(context): Promise<Finding[]> {
    const { client } = context;
    if (!client) {
      return [];
    }
    if (client.admin) {
      return [ok('The client is a project admin, so it may act on behalf of others.'), ...ownPolicy(client)];
    }
    if (await mayActAsItself(context, client)) {
      context.client = { ...client, admin: true };
      return [
        warning(
          'The client may act on behalf of others, but not as a project admin: it seems to be a super admin.',
          'A super admin reaches the records of all projects, and Medplum accepts only memberships from it, no profiles.',
          'Create a ClientApplication in the project of the app, and set admin: true on its ProjectMembership.',
        ),
      ];
    }
    return [
      problem(
        'The client is not a project admin.',
        'Medplum then refuses every call on behalf of a user, and the users of the app get 403 "You may not do this.".',
        'Set admin: true on its ProjectMembership, as a project admin or a super admin. It is the membership whose profile is the ClientApplication.',
      ),
    ];
  },
};

/** Medplum refuses every identity of a client without the right, also the client itself. */
async function mayActAsItself(context: ServerContext, { membershipId }: ClientFacts): Promise<boolean> {
  if (membershipId === undefined) {
    return false;
  }
  const response = await context.asClient('auth/me', `ProjectMembership/${membershipId}`);
  return !(response instanceof WireFailure) && response.status === 200;
}

function ownPolicy({ hasPolicy }: ClientFacts): Finding[] {
  if (!hasPolicy) {
    return [];
  }
  return [
    warning(
      'The client has an access policy of its own.',
      'Medplum refuses an identity whose profile the client may not read.',
      'Let the policy grant reading of the types of profiles that the app acts for (Practitioner, Patient, RelatedPerson), or remove the policy.',
    ),
  ];
}
