import { randomBytes, randomUUID } from 'node:crypto';
import type { Binary } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type {
  ClientInput,
  MemberInput,
  PolicyInput,
  ProjectInput,
  ResourceInput,
  SeededClient,
  SeededMember,
  SeededProject,
} from './seeding.types';
import { findClient } from './authentication';
import type { EmulatorState } from './emulator-state';
import type { AccessPolicy, Project, ProjectMembership, Reference, Resource, StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { currentVersion } from './store';

/** Fixtures can fix ids, so that they are the same at each start. Default: random. */
interface FixedId {
  id?: string;
}

/** What fixtures can say about a client. */
interface FixtureClientInput extends ClientInput, FixedId {
  /** Default: random. */
  secret?: string;
  /** The client gets a policy later, so it must not become the author of seeded resources. */
  restricted?: boolean;
}

/** Fills a store, as the administrators of its projects would. */
export class Seeder {
  private readonly authors = new Map<string, Reference>();

  constructor(
    private readonly state: EmulatorState,
    private readonly projects: string[] = [],
  ) {}

  /** Ids of all projects, the default one first. */
  get projectIds(): readonly string[] {
    return this.projects;
  }

  /** Goes on with the projects of an earlier run. The oldest administrator of each writes its further resources. */
  resume(projects: readonly string[]): void {
    this.projects.push(...projects);
    for (const row of this.state.store.rows('ProjectMembership')) {
      const { resource } = currentVersion(row);
      const { admin, profile, accessPolicy } = (resource ?? {}) as Partial<ProjectMembership>;
      const isClient = profile?.reference?.startsWith('ClientApplication/') ?? false;
      if (admin && isClient && !accessPolicy && profile && row.project && !this.authors.has(row.project)) {
        this.authors.set(row.project, profile);
      }
    }
  }

  async createProject({
    name = 'Emulator project',
    features = [],
    strictMode = true,
    id = randomUUID(),
  }: ProjectInput & FixedId): Promise<SeededProject> {
    const project: Project = {
      resourceType: 'Project',
      id,
      name,
      strictMode,
      ...(features.length > 0 && { features: [...features] as NonNullable<Project['features']> }),
    };
    await this.state.systemRepository(id).createResource(project, { assignedId: true });
    this.projects.push(id);
    return { id, reference: `Project/${id}` };
  }

  async createClient(input: FixtureClientInput): Promise<SeededClient> {
    const { name = 'Emulator client', project, admin = true, policy, restricted = Boolean(policy), id } = input;
    const projectId = this.projectId(project);
    const repository = this.state.systemRepository(projectId);
    const { secret = randomBytes(32).toString('hex') } = input;
    const client = await repository.createResource(
      { resourceType: 'ClientApplication', ...(id && { id }), name, secret },
      { assignedId: true },
    );
    const reference = `ClientApplication/${client.id}`;
    const accessPolicy = policy && { reference: await this.policyReference(projectId, policy) };
    const membership = await repository.createResource<ProjectMembership>({
      resourceType: 'ProjectMembership',
      project: { reference: `Project/${projectId}` },
      user: { reference },
      profile: { reference, display: name },
      ...(admin && { admin }),
      ...(accessPolicy && { accessPolicy }),
    });
    if (admin && !restricted && !this.authors.has(projectId)) {
      this.authors.set(projectId, { reference, display: name });
    }
    return { id: client.id, secret, reference, membership: `ProjectMembership/${membership.id}` };
  }

  async createMember(input: MemberInput & FixedId): Promise<SeededMember> {
    const projectId = this.projectId(input.project);
    const { profile, externalId = randomUUID(), admin, active, access, policy, id } = input;
    const person =
      typeof profile === 'string'
        ? await this.read(projectId, profile)
        : await this.createResource(profile, { project: projectId });
    const accessPolicy = policy && { reference: await this.policyReference(projectId, policy) };
    const rights = {
      externalId,
      ...(admin && { admin }),
      ...(active === false && { active }),
      ...(access && { access: [...access] }),
      ...(accessPolicy && { accessPolicy }),
    };
    const membership = await enrol(this.state, projectId, person, rights, id === undefined ? {} : { id });
    return {
      membership: `ProjectMembership/${membership.id}`,
      profile: `${person.resourceType}/${person.id}`,
      externalId,
    };
  }

  async createResource<T extends Resource>(
    resource: T,
    { project, id }: ResourceInput & FixedId = {},
  ): Promise<T & StoredResource> {
    const projectId = this.projectId(project);
    const created = await this.state
      .systemRepository(projectId, this.authors.get(projectId))
      .createResource({ ...structuredClone(resource), ...(id && { id }) }, { assignedId: id !== undefined });
    return structuredClone(created) as T & StoredResource;
  }

  async createBinary(
    content: Buffer | string,
    contentType: string,
    options: ResourceInput & FixedId = {},
  ): Promise<Binary & StoredResource> {
    const binary = await this.createResource<Binary>({ resourceType: 'Binary', contentType }, options);
    this.state.store.putBlob(binary.id, binary.meta.versionId ?? '', Buffer.from(content));
    return binary;
  }

  /** Gives a client's own membership a policy. */
  async setClientPolicy(client: SeededClient, accessPolicy: string): Promise<void> {
    const project = findClient(this.state, client.id)?.meta.project ?? '';
    const membership = await this.read(project, client.membership);
    await this.state
      .systemRepository(project)
      .updateResource({ ...membership, accessPolicy: { reference: accessPolicy } } as Resource);
  }

  /** Deletes a resource of a project. */
  async remove(reference: string, project: string): Promise<void> {
    const [type = '', id = ''] = reference.split('/');
    await this.state.systemRepository(this.projectId(project)).deleteResource(type, id);
  }

  private async read(projectId: string, reference: string): Promise<StoredResource> {
    const repository = this.state.systemRepository(projectId);
    return (await repository.readReference({ reference })) as StoredResource;
  }

  private async policyReference(project: string, policy: PolicyInput): Promise<string> {
    if (typeof policy === 'string') {
      return policy;
    }
    const body: Omit<AccessPolicy, 'resourceType'> = 'length' in policy ? { resource: [...policy] } : policy;
    const created = await this.createResource({ resourceType: 'AccessPolicy', ...body }, { project });
    return `AccessPolicy/${created.id}`;
  }

  private projectId(project: string | undefined): string {
    const id = project?.replace(/^Project\//, '') ?? this.projects[0];
    if (id === undefined || !this.projects.includes(id)) {
      throw new Error(
        project === undefined
          ? 'The emulator has no project yet. Call createProject() first.'
          : `The emulator has no project "${project}". Pass the id or reference that createProject() returned.`,
      );
    }
    return id;
  }
}

/** Makes a person a member of a project, with a User of their own. The server itself writes both, as for an invitation. */
export async function enrol(
  state: EmulatorState,
  project: string,
  profile: StoredResource,
  membership: Partial<ProjectMembership>,
  { id, ...user }: { email?: string } & FixedId = {},
): Promise<ProjectMembership & StoredResource> {
  const repository = state.systemRepository(project);
  const [name] = 'name' in profile && Array.isArray(profile.name) ? profile.name : [];
  const names = (name ?? {}) as { given?: string[]; family?: string };
  const projectReference = { reference: `Project/${project}` };
  const created = await repository.createResource({
    resourceType: 'User',
    firstName: names.given?.join(' ') || 'First',
    lastName: names.family ?? 'Last',
    project: projectReference,
    ...user,
    ...(membership.externalId && { externalId: membership.externalId }),
  });
  const stored = await repository.createResource<ProjectMembership>(
    {
      resourceType: 'ProjectMembership',
      project: projectReference,
      user: core.createReference(created),
      profile: core.createReference(profile) as NonNullable<ProjectMembership['profile']>,
      ...membership,
      ...(id && { id }),
    },
    { assignedId: id !== undefined },
  );
  return stored as ProjectMembership & StoredResource;
}
