import { type Check, type Finding, ok, problem, warning } from '../check';
import type { ServerContext } from './server-context';

/** Whether the client may act on behalf of others. */
export const adminCheck: Check<ServerContext> = {
  name: 'admin',
  skip: ({ noClient }) => noClient,
  run({ client }): Finding[] {
    if (!client?.admin) {
      return [
        problem(
          'The client is not a project admin.',
          'Medplum then refuses every call on behalf of a user, and the users of the app get 403 "You may not do this.".',
          'Set admin: true on its ProjectMembership, as a project admin or a super admin. It is the membership whose profile is the ClientApplication.',
        ),
      ];
    }
    if (client.hasPolicy) {
      return [
        ok('The client is a project admin.'),
        warning(
          'The client has an access policy of its own.',
          'Medplum refuses an identity whose profile the client may not read.',
          'Let the policy grant reading of the types of profiles that the app acts for (Practitioner, Patient, RelatedPerson), or remove the policy.',
        ),
      ];
    }
    return [ok('The client is a project admin, so it may act on behalf of others.')];
  },
};
