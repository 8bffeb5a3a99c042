import type { ProjectMembershipAccess } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { Resource } from './emulator.types';
import { checkFixtures } from './fixture-check';
import { core } from './medplum-peers';
import type { EmulatorFixtures, ResourceFixture, SeededVariables } from './fixtures.types';
import type { Seeder } from './seeder';
import type { SeededClient } from './seeding.types';

/**
 * Fills a store with fixtures.
 *
 * @throws Error that lists every problem of malformed fixtures, or every resource that is not valid.
 */
export async function seedFixtures(
  seeder: Seeder,
  fixtures: EmulatorFixtures,
): Promise<{ variables: SeededVariables; clients: ReadonlyMap<string, SeededClient> }> {
  checkFixtures(fixtures);
  const variables: SeededVariables = {};
  const clients = new Map<string, SeededClient>();
  const stamp = Date.now().toString(36);
  const named = (name: string): string => resolveName(variables, name);
  for (const { name, title, '//': _comment, ...rest } of fixtures.projects) {
    variables[name] = (await seeder.createProject({ ...rest, ...(title && { name: title }) })).reference;
  }
  for (const { name, title, project, admin = false, accessPolicy, id, secret } of fixtures.clients) {
    // A client that gets a policy later does not become the author of the other fixtures.
    const client = await seeder.createClient({
      name: title ?? name,
      project: named(project),
      admin,
      restricted: Boolean(accessPolicy),
      ...(id && { id }),
      ...(secret && { secret }),
    });
    clients.set(name, client);
    variables[name] = client.reference;
    variables[`${name}.secret`] = client.secret;
    variables[`${name}.membership`] = client.membership;
  }
  await seedResources(seeder, fixtures.resources ?? [], variables);
  for (const { name, accessPolicy } of fixtures.clients) {
    const client = clients.get(name);
    if (client && accessPolicy) {
      await seeder.setClientPolicy(client, named(accessPolicy));
    }
  }
  for (const membership of fixtures.memberships ?? []) {
    const { name, id, externalId, project, profile, accessPolicy, access, deleted, admin, active } = membership;
    const member = await seeder.createMember({
      profile: named(profile),
      project: named(project),
      externalId: externalId ?? `wire-${name}-${stamp}`,
      ...(id && { id }),
      ...(accessPolicy && { policy: named(accessPolicy) }),
      ...(access && { access: fill(variables, access) as readonly ProjectMembershipAccess[] }),
      ...(admin && { admin }),
      ...(active === false && { active }),
    });
    variables[`${name}.membership`] = member.membership;
    variables[`${name}.externalId`] = member.externalId;
    if (deleted) {
      await seeder.remove(member.membership, named(project));
    }
  }
  return { variables, clients };
}

async function seedResources(
  seeder: Seeder,
  fixtures: readonly ResourceFixture[],
  variables: SeededVariables,
): Promise<void> {
  const problems: string[] = [];
  for (const { name, project, resource, binary, id = resource?.id } of fixtures) {
    const options = { project: resolveName(variables, project), ...(id && { id }) };
    try {
      const created = binary
        ? await seeder.createBinary(binary.text, binary.contentType, options)
        : await seeder.createResource(fill(variables, resource) as Resource, options);
      variables[name] = `${created.resourceType}/${created.id}`;
    } catch (error) {
      problems.push(`${name}: ${core.operationOutcomeToString(core.normalizeOperationOutcome(error))}`);
      // With a made-up id, the resources that refer to this one can still be checked.
      variables[name] = `${resource?.resourceType}/00000000-0000-4000-8000-000000000000`;
    }
  }
  if (problems.length > 0) {
    throw new Error(`The fixtures have ${problems.length} resource(s) that are not valid:\n- ${problems.join('\n- ')}`);
  }
}

function resolveName(variables: SeededVariables, name: string): string {
  const value = variables[name];
  if (value !== undefined) {
    return value;
  }
  const reference = name.endsWith('.id') ? variables[name.slice(0, -3)] : undefined;
  if (reference === undefined) {
    throw new Error(`The fixtures use the name "${name}", which no earlier fixture has. Define it before you use it.`);
  }
  return reference.slice(reference.indexOf('/') + 1);
}

function fill(variables: SeededVariables, value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value).replace(/\{\{([^{}]+)\}\}/g, (_whole, name: string) => resolveName(variables, name)),
  );
}
