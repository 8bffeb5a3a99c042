import type { Bot, ProjectMembership, User } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { Caller } from './caller';
import type { EmulatorState } from './emulator-state';
import { fail } from './outcome-error';
import type { OperationOutcome, Resource, StoredResource } from './emulator.types';
import { jsonAnswer, readBody, requireCaller, type Answer, type Exchange } from './exchange';
import { core } from './medplum-peers';
import type { EmulatorRepository } from './repository';
import { resourceAnswer } from './resource-answer';
import { presentResource } from './resource-meta';
import { enrol, Seeder } from './seeder';
import type { StorageUrls } from './storage-urls';
import { currentVersion } from './store';

/**
 * Handles `/admin/projects/<id>` and the paths below it. The id in the path is ignored: administrators always get their
 * own project.
 */
export async function adminAnswer(exchange: Exchange, storage: StorageUrls): Promise<Answer | undefined> {
  const { method, path, state } = exchange;
  const match = /^\/admin\/projects\/[^/]+(?:\/(invite|client|bot|members\/([^/]+)))?$/.exec(path);
  if (!match) {
    return undefined;
  }
  const caller = requireCaller(exchange);
  if (!caller.actingMembership.admin) {
    fail(core.forbidden);
  }
  const repository = state.repository(caller, exchange.extended);
  const [, action, memberId] = match;
  switch (`${method} ${memberId ? 'member' : (action ?? '')}`) {
    case 'GET ':
      return jsonAnswer(200, { project: await repository.readResource('Project', caller.project) });
    case 'GET member':
      return jsonAnswer(200, await repository.readResource('ProjectMembership', memberId ?? ''));
    case 'POST member':
      return jsonAnswer(200, await repository.updateResource((await readBody(exchange)) as Resource));
    case 'DELETE member':
      await repository.deleteResource('ProjectMembership', memberId ?? '');
      return jsonAnswer(200, core.allOk);
    case 'POST client':
      return clientAnswer(exchange, caller);
    case 'POST bot':
      return createBot(exchange, caller, repository);
    case 'POST invite':
      return inviteAnswer(exchange, caller, storage);
    default:
      return undefined;
  }
}

async function clientAnswer(exchange: Exchange, { project }: Caller): Promise<Answer> {
  const { state } = exchange;
  const { name, accessPolicy } = (await readBody(exchange)) as {
    name?: unknown;
    accessPolicy?: { reference?: string };
  };
  if (typeof name !== 'string' || name === '') {
    fail(invalid('name', 'Client name is required'));
  }
  const policy = accessPolicy?.reference;
  const client = await new Seeder(state, [project]).createClient({ name, admin: false, ...(policy && { policy }) });
  return jsonAnswer(201, await state.systemRepository(project).readResource('ClientApplication', client.id));
}

/** A new bot with the code that somebody still has to write, and with a membership of its own. */
async function createBot(exchange: Exchange, { project }: Caller, repository: EmulatorRepository): Promise<Answer> {
  const { name, description, accessPolicy, runtimeVersion } = (await readBody(exchange)) as Partial<Bot> &
    Pick<ProjectMembership, 'accessPolicy'>;
  if (typeof name !== 'string' || name === '') {
    fail(invalid('name', 'Bot name is required'));
  }
  const contentType = 'text/typescript';
  const url = await repository.storeBinary(contentType, Buffer.from('export async function handler() {}\n'));
  const bot = await repository.createResource<Bot>({
    resourceType: 'Bot',
    name,
    ...(description && { description }),
    runtimeVersion: runtimeVersion ?? 'vmcontext',
    sourceCode: { contentType, title: 'index.ts', url },
  });
  const reference = core.createReference(bot);
  await exchange.state.systemRepository(project).createResource<ProjectMembership>({
    resourceType: 'ProjectMembership',
    project: { reference: `Project/${project}` },
    user: reference,
    profile: reference,
    ...(accessPolicy && { accessPolicy }),
  });
  return jsonAnswer(201, bot);
}

interface Invitation {
  resourceType?: string;
  firstName?: string;
  lastName?: string;
  email?: string;
  externalId?: string;
  patient?: { reference: string };
  membership?: Partial<ProjectMembership>;
  accessPolicy?: ProjectMembership['accessPolicy'];
  access?: ProjectMembership['access'];
  admin?: boolean;
}

async function inviteAnswer(exchange: Exchange, { project }: Caller, storage: StorageUrls): Promise<Answer> {
  const { state, extended } = exchange;
  const invitation = (await readBody(exchange)) as Invitation;
  const { email, externalId, accessPolicy, access, admin, membership } = invitation;
  checkInvitation(invitation);
  if (isMember(state, project, email, externalId)) {
    fail(core.conflict('User is already a member of this project'));
  }
  const profile = await profileOf(state, project, invitation);
  const created = await enrol(
    state,
    project,
    profile,
    {
      ...(accessPolicy && { accessPolicy }),
      ...(access && { access }),
      ...(admin && { admin }),
      ...(externalId && { externalId }),
      ...withoutProfile(membership),
    },
    email ? { email } : {},
  );
  return resourceAnswer(exchange, storage, 200, presentResource(created, extended, undefined));
}

function withoutProfile({ profile: _profile, ...rest }: Partial<ProjectMembership> = {}): Partial<ProjectMembership> {
  return rest;
}

async function profileOf(state: EmulatorState, project: string, invitation: Invitation): Promise<StoredResource> {
  const repository = state.systemRepository(project);
  const { resourceType, firstName, lastName, email, patient, membership } = invitation;
  if (membership?.profile) {
    return (await repository.readReference(membership.profile)) as StoredResource;
  }
  const profile = {
    resourceType,
    name: [{ given: [firstName], family: lastName }],
    ...(email && { telecom: [{ system: 'email', use: 'work', value: email }] }),
    ...(patient && { patient }),
  };
  return (await repository.createResource(profile as Resource)) as StoredResource;
}

function checkInvitation({ resourceType, firstName, lastName, email, externalId }: Invitation): void {
  if (!['Patient', 'Practitioner', 'RelatedPerson'].includes(resourceType ?? '')) {
    fail(invalid('resourceType', 'Resource type must be "Patient", "Practitioner", or "RelatedPerson"'));
  }
  if (!firstName) {
    fail(invalid('firstName', 'First name is required'));
  }
  if (!lastName) {
    fail(invalid('lastName', 'Last name is required'));
  }
  if (email !== undefined && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email)) {
    fail(invalid('email', 'Valid email address is required'));
  }
  if (!email && !externalId) {
    fail(invalid('email', 'Either email or externalId is required'));
  }
}

function invalid(expression: string, text: string): OperationOutcome {
  return core.badRequest(text, expression);
}

/** Whether a user with this email address or external id has a membership that is not deleted. */
function isMember(
  state: EmulatorState,
  project: string,
  email: string | undefined,
  externalId: string | undefined,
): boolean {
  for (const row of state.store.rows('User')) {
    const user = currentVersion(row).resource as (User & StoredResource) | undefined;
    const same = user && ((email && user.email === email) || (externalId && user.externalId === externalId));
    if (
      same &&
      row.project === project &&
      state.store.lookup('ProjectMembership', 'user', [`User/${user.id}`]).size > 0
    ) {
      return true;
    }
  }
  return false;
}
