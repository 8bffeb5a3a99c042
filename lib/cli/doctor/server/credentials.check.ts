import { WireFailure } from '../../../http/wire';
import { isFhirId } from '../../../shared/fhir-id';
import { type Check, type Finding, ok, problem, warning } from '../check';
import { JsonObject } from '../json-object';
import type { ServerContext } from './server-context';
import type { ProbeResponse } from './server-probe';

/** Whether the server accepts the credentials. If not, the token endpoint says which of them is wrong. */
export const credentialsCheck: Check<ServerContext> = {
  name: 'credentials',
  skip: ({ noServer, settings }) =>
    noServer ?? (settings.clientId && settings.clientSecret ? undefined : 'the client id or the secret is not set'),
  async run(context) {
    const response = await context.asClient('auth/me');
    if (response instanceof WireFailure) {
      return [failed(`The connection broke (${response.code}).`)];
    }
    if (response.status === 401) {
      return [await refused(context)];
    }
    if (response.status === 429) {
      return [failed('The server responds with 429: the quota of this address or client is used up.')];
    }
    if (response.status !== 200 || response.body.object('profile').text('resourceType') !== 'ClientApplication') {
      return [failed(`The server responds to auth/me with ${response.status}, but not with a ClientApplication.`)];
    }
    // The profile holds the secret in clear. Only these facts are kept.
    const membership = response.body.object('membership');
    const access = membership.get('access');
    context.client = {
      membershipId: isFhirId(membership.get('id')) ? membership.text('id') : undefined,
      admin: membership.get('admin') === true,
      active: membership.get('active') !== false,
      hasPolicy: membership.has('accessPolicy') || (Array.isArray(access) && access.length > 0),
    };
    return [ok('The server accepts the client id and the secret.'), ...inactive(context)];
  },
};

function failed(what: string): Finding {
  return problem(
    what,
    'It is not known whether the credentials work.',
    'Run doctor again in a minute. If a proxy is in front of Medplum, let it pass /auth/me on.',
  );
}

function inactive({ client }: ServerContext): Finding[] {
  if (client?.active !== false) {
    return [];
  }
  return [
    warning(
      'The membership of the client is inactive.',
      'Medplum 5.0 lets it work, but later releases refuse its credentials.',
      'Set active: true on the ProjectMembership of the client.',
    ),
  ];
}

async function refused(context: ServerContext): Promise<Finding> {
  const { clientId, clientSecret } = context.settings;
  const what = 'The server refuses the credentials (401).';
  const why = 'The app gets MedplumUnauthorizedError for every call.';
  switch (await tokenEndpoint(context)) {
    case 'Invalid client':
      return problem(
        `${what} It does not know the client.`,
        why,
        `Set ${clientId?.from} to the id of a ClientApplication on this very server, and check that the client is not deleted or switched off and that it has a ProjectMembership.`,
      );
    case 'Invalid secret':
      return problem(
        `${what} It knows the client, but the secret is wrong.`,
        why,
        `Copy the secret of this client from the Medplum app to ${clientSecret?.from}, without blanks or quotes around it.`,
      );
    case 'accepted':
      return problem(
        `${what} The token endpoint accepts them, as it does with a secret that is being replaced.`,
        why,
        `Copy the new secret of the client to ${clientSecret?.from}.`,
      );
    default:
      return problem(
        what,
        why,
        `Check ${clientId?.from} and ${clientSecret?.from}. Both must belong to a client on this very server.`,
      );
  }
}

/** What the token endpoint says to the same credentials; `undefined` if it says none of these. */
async function tokenEndpoint(
  context: ServerContext,
): Promise<'accepted' | 'Invalid client' | 'Invalid secret' | undefined> {
  const { clientId, clientSecret } = context.settings;
  if (!context.baseUrl || !clientId || !clientSecret) {
    return undefined;
  }
  const form = { grant_type: 'client_credentials', client_id: clientId.value, client_secret: clientSecret.value };
  const response = await context.probe.send(context.baseUrl, 'oauth2/token', { form });
  if (response instanceof WireFailure) {
    return undefined;
  }
  if (response.status === 200) {
    return 'accepted';
  }
  return (['Invalid client', 'Invalid secret'] as const).find((text) => text === describedBy(response));
}

function describedBy({ body }: ProbeResponse): string | undefined {
  const issues = body.get('issue');
  const issue = new JsonObject(Array.isArray(issues) ? issues[0] : undefined);
  return body.text('error_description') ?? issue.object('details').text('text');
}
