import { timingSafeEqual } from 'node:crypto';
import type { ClientApplication, ProjectMembership as Membership } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { combinePolicies, EffectivePolicy, fillPolicy } from './access-policy';
import type { Caller } from './caller';
import type { EmulatorState } from './emulator-state';
import { fail } from './outcome-error';
import type { AccessPolicy, EmulatorAuthKind, Reference, StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { currentVersion, type Row, type Version } from './store';

type StoredMembership = Membership & StoredResource;

/** Which kind of credentials a request carries. The scheme is case-sensitive, as on the server. */
export function authKind(authorization: string | undefined): EmulatorAuthKind {
  if (!authorization) {
    return 'none';
  }
  return authorization.startsWith('Basic ') ? 'basic' : authorization.startsWith('Bearer ') ? 'bearer' : 'other';
}

/** The client that a request's credentials belong to; `undefined` if they are missing or wrong. */
export function authenticate(state: EmulatorState, authorization: string | undefined): Caller | undefined {
  const kind = authKind(authorization);
  const credentials = authorization?.slice(authorization.indexOf(' ') + 1) ?? '';
  if (kind === 'basic') {
    const [id, secret] = decodeBasic(credentials);
    const client = findClient(state, id);
    return client?.secret && sameText(client.secret, secret) ? clientCaller(state, kind, client) : undefined;
  }
  if (kind === 'bearer') {
    const token = state.tokens.get(credentials);
    if (!token || token.expiresAt <= Date.now()) {
      return undefined;
    }
    if ('membershipId' in token) {
      return memberCaller(state, token.membershipId);
    }
    const client = findClient(state, token.clientId);
    return client && clientCaller(state, kind, client);
  }
  return undefined;
}

/** The id and secret in Basic credentials. The secret may contain colons. */
export function decodeBasic(credentials: string): [id: string, secret: string] {
  const [id = '', ...secret] = Buffer.from(credentials, 'base64').toString('utf8').split(':');
  return [id, secret.join(':')];
}

/** The client application with this id, unless it is deleted. */
export function findClient(state: EmulatorState, id: string): (ClientApplication & StoredResource) | undefined {
  const row = state.store.get('ClientApplication', id);
  return row && (currentVersion(row).resource as (ClientApplication & StoredResource) | undefined);
}

/** Compares two secrets. The time it takes does not reveal how much of them agrees. */
export function sameText(a: string, b: string): boolean {
  const [first, second] = [Buffer.from(a), Buffer.from(b)];
  return first.length === second.length && timingSafeEqual(first, second);
}

/** The client's own membership in its project. */
export function clientMembership(state: EmulatorState, client: StoredResource): StoredMembership | undefined {
  const [membership] = findMemberships(state, client.meta.project, [`ClientApplication/${client.id}`]);
  return membership;
}

function clientCaller(
  state: EmulatorState,
  auth: EmulatorAuthKind,
  client: ClientApplication & StoredResource,
): Caller | undefined {
  const membership = clientMembership(state, client);
  if (!membership || (state.serverVersion === '5.2' && membership.active === false)) {
    return undefined;
  }
  const author = { reference: `ClientApplication/${client.id}`, ...(client.name && { display: client.name }) };
  const project = client.meta.project ?? '';
  return { auth, project, membership, author, actingMembership: membership, policy: policyOf(state, membership) };
}

/** A bot, or the person that it runs as. */
function memberCaller(state: EmulatorState, membershipId: string): Caller | undefined {
  const row = state.store.get('ProjectMembership', membershipId);
  const membership = row && (currentVersion(row).resource as StoredMembership | undefined);
  const author = membership?.profile;
  return membership && author
    ? {
        auth: 'bearer',
        project: membership.meta.project ?? '',
        membership,
        author,
        actingMembership: membership,
        policy: policyOf(state, membership),
      }
    : undefined;
}

/**
 * Makes the caller act on behalf of the identity that the header names. Each kind of mistake has its own error.
 *
 * @param header `X-Medplum-On-Behalf-Of` as received; a missing or blank value leaves the caller unchanged.
 * @throws OperationOutcomeError 400, 403, 404 or 410 (always 400 from server version 5.2 on).
 */
export async function actOnBehalfOf(state: EmulatorState, caller: Caller, header: string | undefined): Promise<Caller> {
  const value = header?.trim();
  if (!value) {
    return caller;
  }
  try {
    if (!caller.membership.admin) {
      fail(core.forbidden);
    }
    const membership = value.startsWith('ProjectMembership/')
      ? membershipById(state, caller.project, value.split('/')[1])
      : (findMemberships(state, caller.project, core.splitSearchOnComma(value))[0] ?? fail(core.forbidden));
    // The profile is read with the caller's own rights, and costs no points.
    const profile = await profileOf(state, caller, membership.profile);
    return {
      ...caller,
      self: caller,
      actingMembership: membership,
      onBehalfOf: core.createReference(profile),
      policy: policyOf(state, membership),
    };
  } catch (error) {
    return fail(state.serverVersion === '5.0' ? core.normalizeOperationOutcome(error) : newerIdentityError(error));
  }
}

function newerIdentityError(error: unknown): ReturnType<typeof core.badRequest> {
  const cause = core.operationOutcomeToString(core.normalizeOperationOutcome(error));
  const outcome = core.badRequest('Authentication error');
  return { ...outcome, issue: outcome.issue.map((issue) => ({ ...issue, diagnostics: `Error: ${cause}` })) };
}

function membershipById(state: EmulatorState, project: string, id: string | undefined): StoredMembership {
  if (!id) {
    return fail(core.badRequest('Invalid reference'));
  }
  const row = core.isUUID(id) ? state.store.get('ProjectMembership', id.toLowerCase()) : undefined;
  if (!row || row.project !== project) {
    return fail(core.notFound);
  }
  return (currentVersion(row).resource as StoredMembership | undefined) ?? fail(core.gone);
}

/** Memberships of the profiles, the least recently written first. The server's own choice is just as arbitrary. */
function findMemberships(
  state: EmulatorState,
  project: string | undefined,
  profiles: readonly string[],
): StoredMembership[] {
  return [...state.store.lookup('ProjectMembership', 'profile', profiles)]
    .filter((row) => row.project === project)
    .map(currentVersion)
    .toSorted((a, b) => a.sequence - b.sequence)
    .flatMap(({ resource }) => (resource ? [resource as StoredMembership] : []));
}

async function profileOf(
  state: EmulatorState,
  caller: Caller,
  reference: Reference | undefined,
): Promise<StoredResource> {
  const [type = '', id = ''] = reference?.reference?.split('/') ?? [];
  return (await state.repository(caller, true).readUncounted(type, id)) as StoredResource;
}

interface CachedPolicy {
  readonly depends: readonly (readonly [row: Row, version: Version])[];
  readonly policy: EffectivePolicy;
}

const policies = new WeakMap<EmulatorState, Map<string, CachedPolicy>>();

/** Compiles a membership's policy once, and again after the membership or one of its policies has changed. */
function policyOf(state: EmulatorState, membership: StoredMembership): EffectivePolicy {
  const cache = policies.get(state) ?? new Map<string, CachedPolicy>();
  policies.set(state, cache);
  const cached = cache.get(membership.id);
  if (
    cached?.depends.every(([row, version]) => state.store.get(row.resourceType, row.id)?.versions.at(-1) === version)
  ) {
    return cached.policy;
  }
  const compiled = compilePolicy(state, membership);
  cache.set(membership.id, compiled);
  return compiled.policy;
}

function compilePolicy(state: EmulatorState, membership: StoredMembership): CachedPolicy {
  const project = membership.meta.project ?? '';
  const profile = membership.profile?.reference ?? '';
  const depends: (readonly [Row, Version])[] = [];
  const remember = (type: string, id: string): Version | undefined => {
    const row = state.store.get(type, id);
    const version = row && row.project === project ? currentVersion(row) : undefined;
    if (row && version) {
      depends.push([row, version]);
    }
    return version;
  };
  remember('ProjectMembership', membership.id);
  const access = [
    ...(membership.accessPolicy ? [{ policy: membership.accessPolicy, parameter: undefined }] : []),
    ...(membership.access ?? []),
  ];
  const filled = access.map(({ policy, parameter }) => {
    const version = remember('AccessPolicy', policy?.reference?.split('/')[1] ?? '');
    const parameters = new Map([
      ['profile', profile],
      ['patient', profile],
    ]);
    // Of several parameters with the same name, the first one wins.
    for (const { name, valueString, valueReference } of (parameter ?? []).toReversed()) {
      parameters.set(name ?? '', valueReference?.reference ?? valueString ?? '');
    }
    const source =
      version?.resource ?? fail(core.badRequest('Cannot authenticate: Invalid access policy configuration'));
    return fillPolicy(source as AccessPolicy, parameters);
  });
  const combined = combinePolicies(access.length > 0 ? filled : undefined, membership.admin === true, project);
  const scope = { store: state.store, project, serverVersion: state.serverVersion };
  return { depends, policy: new EffectivePolicy(scope, combined) };
}
