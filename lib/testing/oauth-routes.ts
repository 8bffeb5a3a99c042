import { randomBytes, randomUUID } from 'node:crypto';
import { authenticate, clientMembership, decodeBasic, findClient, sameText } from './authentication';
import type { EmulatorState, TokenOwner } from './emulator-state';
import { fail } from './outcome-error';
import { jsonAnswer, readBody, requireCaller, type Answer, type Exchange } from './exchange';
import { core } from './medplum-peers';
import { presentResource } from './resource-meta';

/** How long a token is valid, in seconds. */
const TOKEN_SECONDS = 3600;

const refused = (description: string): Answer =>
  jsonAnswer(400, { error: 'invalid_request', error_description: description });

/** `POST /oauth2/token`: client credentials, in the body or as Basic. The token does not keep the identity of a header. */
export async function tokenAnswer(exchange: Exchange): Promise<Answer> {
  const { state, headers } = exchange;
  if (!headers['content-type']?.startsWith('application/x-www-form-urlencoded')) {
    return { status: 400, contentType: 'text/html; charset=utf-8', body: 'Unsupported content type' };
  }
  const form = (await readBody(exchange)) as Record<string, string | string[] | undefined>;
  const field = (name: string): string | undefined => [form[name]].flat()[0] || undefined;
  const basic = /^Basic (.+)$/.exec(headers.authorization ?? '')?.[1];
  const [basicId, basicSecret] = basic ? decodeBasic(basic) : [];
  const clientId = field('client_id') ?? basicId;
  const secret = field('client_secret') ?? basicSecret;
  const grantType = field('grant_type');
  if (!grantType) {
    return refused('Missing grant_type');
  }
  if (grantType !== 'client_credentials') {
    return refused('Unsupported grant_type');
  }
  if (!clientId) {
    return refused('Missing client_id');
  }
  if (!secret) {
    return refused('Missing client_secret');
  }
  return issueToken(state, clientId, secret, field('scope') ?? 'openid');
}

function issueToken(state: EmulatorState, clientId: string, secret: string, scope: string): Answer {
  const client = findClient(state, clientId);
  const membership = client && clientMembership(state, client);
  const status = (client as { status?: string } | undefined)?.status ?? 'active';
  if (!client?.secret || !membership || status !== 'active') {
    return refused('Invalid client');
  }
  // A secret that is being retired is valid here, but not for Basic.
  const secrets = [client.secret, client.retiringSecret].filter((known) => known !== undefined);
  if (!secrets.some((known) => sameText(known, secret))) {
    return refused('Invalid secret');
  }
  const token = issueAccessToken(state, { clientId });
  const exp = Math.floor(Date.now() / 1000) + TOKEN_SECONDS;
  return jsonAnswer(200, {
    token_type: 'Bearer',
    expires_in: TOKEN_SECONDS,
    scope,
    access_token: token,
    id_token: jwtShaped({ sub: clientId, aud: clientId, exp }),
    project: { reference: `Project/${client.meta.project}` },
    profile: { reference: `ClientApplication/${client.id}`, ...(client.name && { display: client.name }) },
  });
}

/** Issues a token for a client, or for the membership of a bot. */
export function issueAccessToken(state: EmulatorState, owner: TokenOwner): string {
  const expiresAt = Date.now() + TOKEN_SECONDS * 1000;
  const subject = 'clientId' in owner ? owner.clientId : owner.membershipId;
  const exp = Math.floor(expiresAt / 1000);
  const token = jwtShaped({ login_id: randomUUID(), sub: subject, client_id: subject, exp });
  state.tokens.set(token, { ...owner, expiresAt });
  return token;
}

/** Makes a token that looks like a JWT, because clients read `exp` from it. The emulator only compares whole tokens. */
function jwtShaped(claims: object): string {
  return `${encoded({ alg: 'ES256', typ: 'JWT' })}.${encoded(claims)}.${randomBytes(32).toString('base64url')}`;
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** The discovery document, which tells clients where the token endpoint is. */
export function discoveryAnswer({ state: { baseUrl } }: Exchange): Answer {
  return jsonAnswer(200, {
    issuer: baseUrl,
    token_endpoint: `${baseUrl}oauth2/token`,
    userinfo_endpoint: `${baseUrl}oauth2/userinfo`,
    grant_types_supported: ['client_credentials'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
  });
}

/** `POST /oauth2/logout`: ends the token of the request. */
export function logoutAnswer({ state, headers }: Exchange): Answer {
  const token = headers.authorization?.slice('Bearer '.length) ?? '';
  if (!state.tokens.delete(token) && !authenticate(state, headers.authorization)) {
    return fail(core.unauthorized);
  }
  return jsonAnswer(200, core.allOk);
}

/** `GET /oauth2/userinfo`: the subject is the identity if there is one, else the client. */
export function userInfoAnswer(exchange: Exchange): Answer {
  const caller = requireCaller(exchange);
  const profile = (caller.onBehalfOf ?? caller.author).reference ?? '';
  return jsonAnswer(200, { sub: profile.slice(profile.indexOf('/') + 1), profile });
}

/** `GET /auth/me`: the client's profile and membership, and the identity's policy. */
export function meAnswer(exchange: Exchange): Answer {
  const { state } = exchange;
  const caller = requireCaller(exchange);
  const client = findClient(state, caller.author.reference?.split('/')[1] ?? '') ?? fail(core.unauthorized);
  const project = state.project(caller.project);
  const { id, name, strictMode } = project ?? {};
  const { author: _author, ...membershipMeta } = caller.membership.meta ?? {};
  return jsonAnswer(200, {
    project: { resourceType: 'Project', id, name, strictMode },
    membership: { ...caller.membership, meta: membershipMeta },
    profile: presentResource(client, false, undefined),
    config: { resourceType: 'UserConfiguration', menu: [] },
    ...(caller.policy.source && { accessPolicy: caller.policy.source }),
  });
}
