import type { AccessPolicyInteraction, Operation, SearchRequest, WithId } from '@medplum/core';
import type { DeleteResourceOptions, ReadHistoryOptions, UpdateResourceOptions } from '@medplum/fhir-router';
import type { Binary, Bundle, Parameters } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { historyEntry, versionsOnPage } from './bundles';
import { INTERACTION_POINTS } from './caller';
import { hasConditionalReferences, resolveConditionalReferences } from './conditional-references';
import type { Project, Reference, Resource, StoredResource } from './emulator.types';
import { core, fhirRouter } from './medplum-peers';
import { fail } from './outcome-error';
import type { RepositoryHost, RepositoryOptions } from './repository.types';
import { ResourceAccess, type Seen } from './resource-access';
import { ResourceSearch } from './resource-search';
import { ResourceWriter } from './resource-writer';
import type { SearchScope } from './search.types';
import { currentVersion, type UndoLog } from './store';

/** How many resources an export reads at a time. */
const EXPORT_PAGE = 1000;

/**
 * The store as one caller sees it. Every read, search and write is charged and obeys the caller's access policy.
 * `FhirRouter` gets one per request, so that batches, transactions, conditional requests and GraphQL obey it too.
 */
export class EmulatorRepository extends fhirRouter.FhirRepository {
  private readonly access: ResourceAccess;
  private readonly searches: ResourceSearch;
  private readonly writer: ResourceWriter;

  /** @param undo present inside a transaction. */
  constructor(
    private readonly host: RepositoryHost,
    private readonly options: RepositoryOptions,
    private readonly undo?: UndoLog,
  ) {
    super();
    this.access = new ResourceAccess(host, options);
    this.searches = new ResourceSearch(host, this.access);
    this.writer = new ResourceWriter(host, options, this.access, undo);
  }

  setMode(): void {
    // The emulator has one store, so there are no separate readers and writers.
  }

  generateId(): string {
    return core.generateId();
  }

  async createResource<T extends Resource>(resource: T, options?: { assignedId?: boolean }): Promise<WithId<T>> {
    await this.begin('create');
    const id = options?.assignedId && resource.id ? resource.id : this.generateId();
    this.access.requireInteraction('create', resource.resourceType);
    const complete: Resource = await this.withReferences(resource);
    return this.writer.create({ ...complete, id }) as WithId<T>;
  }

  async readResource<T extends Resource>(resourceType: string, id: string): Promise<WithId<T>> {
    await this.begin('read');
    return this.access.present(this.access.readable('read', resourceType, id)) as WithId<T>;
  }

  /** Like `readResource`, but free of charge. It is for look-ups that the server makes for itself. */
  async readUncounted(resourceType: string, id: string): Promise<Resource> {
    await this.host.store.settled();
    return this.access.present(this.access.readable('read', resourceType, id));
  }

  async readReference<T extends Resource>(reference: Reference<T>): Promise<WithId<T>> {
    const [resourceType, id, ...rest] = reference.reference?.split('/') ?? [];
    if (!resourceType || !id || rest.length > 0) {
      return fail(core.badRequest('Invalid reference'));
    }
    return this.readResource(resourceType, id);
  }

  async readReferences<T extends Resource>(references: readonly Reference<T>[]): Promise<(T | Error)[]> {
    return Promise.all(
      references.map((reference) =>
        this.readReference(reference).catch(
          (error: unknown) => new core.OperationOutcomeError(core.normalizeOperationOutcome(error)),
        ),
      ),
    );
  }

  async readHistory<T extends Resource>(
    resourceType: string,
    id: string,
    options?: ReadHistoryOptions,
  ): Promise<Bundle<WithId<T>>> {
    await this.begin('history');
    const { row } = this.requireReadable('history', resourceType, id);
    const entry = versionsOnPage(row, options).map((version) => {
      const { resource } = version;
      const rule = resource && this.access.policy?.ruleFor('read', version, resource);
      const shown = resource && this.access.present({ resource, ...(rule && { rule }) });
      return historyEntry(this.host.baseUrl, row, version, shown);
    });
    return {
      resourceType: 'Bundle',
      type: 'history',
      ...(entry.length > 0 && { entry }),
      total: row.versions.length,
    } as Bundle<WithId<T>>;
  }

  async readVersion<T extends Resource>(resourceType: string, id: string, versionId: string): Promise<WithId<T>> {
    await this.begin('vread');
    const { row, rule } = this.requireReadable('vread', resourceType, id);
    const version = row.versions.find((candidate) => candidate.versionId === versionId) ?? fail(core.notFound);
    const resource = version.resource ?? fail(core.gone);
    return this.access.present({ resource, ...(rule && { rule }) }) as WithId<T>;
  }

  async updateResource<T extends Resource>(resource: T, options?: UpdateResourceOptions): Promise<WithId<T>> {
    await this.begin('update');
    this.writer.requireUpdatable(resource);
    return this.writer.update(await this.withReferences(resource), options) as WithId<T>;
  }

  /** The resource with its conditional references resolved. Waits only if it has any. */
  private async withReferences<T extends Resource>(resource: T): Promise<T> {
    return hasConditionalReferences(resource)
      ? resolveConditionalReferences(resource, (request) => this.searchResources(request))
      : resource;
  }

  async patchResource<T extends Resource>(
    resourceType: T['resourceType'],
    id: string,
    patch: Operation[] | Parameters,
    options?: UpdateResourceOptions,
  ): Promise<WithId<T>> {
    await this.begin('update');
    const patched = this.writer.patched(resourceType, id, patch);
    this.writer.requireUpdatable(patched);
    return this.writer.update(await this.withReferences(patched), options) as WithId<T>;
  }

  async deleteResource(resourceType: string, id: string, options?: DeleteResourceOptions): Promise<void> {
    await this.begin('delete');
    this.writer.delete(resourceType, id, options);
  }

  async search<T extends Resource>(request: SearchRequest<T>): Promise<Bundle<WithId<T>>> {
    await this.begin('search');
    return (await this.searches.bundle(request, (references) => this.readable(references))) as Bundle<WithId<T>>;
  }

  async searchByReference<T extends Resource>(
    request: SearchRequest<T>,
    referenceField: string,
    references: string[],
  ): Promise<Record<string, WithId<T>[]>> {
    const entries = references.map(async (value) => {
      const filters = [...(request.filters ?? []), { code: referenceField, operator: 'eq' as const, value }];
      return [value, await this.searchResources<T>({ ...request, filters })] as const;
    });
    return Object.fromEntries(await Promise.all(entries));
  }

  async withTransaction<TResult>(work: (repository: this) => Promise<TResult>): Promise<TResult> {
    if (this.undo) {
      return work(this);
    }
    return this.host.store.transaction((undo) => work(new EmulatorRepository(this.host, this.options, undo) as this));
  }

  /** What the caller may read of these references. The server charges each of them as a read. */
  async readable(references: readonly Reference[]): Promise<StoredResource[]> {
    const local = references.filter(({ reference }) => /^[A-Z][a-zA-Z]+\//.test(reference ?? ''));
    const found = await this.readReferences<Resource>(local);
    return found.flatMap((resource) => (resource instanceof Error ? [] : [resource as StoredResource]));
  }

  get serverVersion(): SearchScope['serverVersion'] {
    return this.host.serverVersion;
  }

  /** The types that the definition of the patient's compartment names. */
  get patientTypes(): readonly string[] {
    return this.host.definitions.compartmentTypes;
  }

  isKnownType(resourceType: string): boolean {
    return this.access.isKnownType(resourceType);
  }

  /** Whether the project has a feature, such as `bots`. */
  hasFeature(feature: string): boolean {
    const { store, project } = this.host;
    const row = project === undefined ? undefined : store.get('Project', project);
    const { features } = (row && (currentVersion(row).resource as Project | undefined)) ?? {};
    return (features as readonly string[] | undefined)?.includes(feature) ?? false;
  }

  /** The same store as the server itself sees it. */
  asSystem(): EmulatorRepository {
    return new EmulatorRepository(this.host, { caller: undefined, extended: true }, this.undo);
  }

  /** Stores content as a Binary of the caller. Returns its reference. */
  async storeBinary(contentType: string, content: Buffer): Promise<string> {
    const binary = await this.createResource<Binary>({ resourceType: 'Binary', contentType });
    this.host.store.putBlob(binary.id, binary.meta?.versionId ?? '', content);
    return `Binary/${binary.id}`;
  }

  /**
   * Removes a resource with all of its versions.
   *
   * @throws OperationOutcomeError 403 unless the caller is an administrator
   */
  expunge(resourceType: string, id: string): void {
    const { caller } = this.options;
    if (caller && caller.actingMembership.admin !== true) {
      fail(core.forbidden);
    }
    const row = this.access.findRow(resourceType, id);
    if (row) {
      this.host.store.expunge(row);
    }
  }

  /** All resources of a type that the caller may find, for an export. */
  async everythingOf(resourceType: string): Promise<readonly Resource[]> {
    const found: Resource[] = [];
    for (let offset = 0; ; offset += EXPORT_PAGE) {
      const page = await this.searchResources({ resourceType, count: EXPORT_PAGE, offset } as SearchRequest);
      found.push(...page);
      if (page.length < EXPORT_PAGE) {
        return found;
      }
    }
  }

  /** A resource whose versions the caller may read. A rule for reading alone is not enough. */
  private requireReadable(interaction: 'history' | 'vread', resourceType: string, id: string): Seen {
    const seen = this.access.visible('read', resourceType, id);
    const { policy } = this.access;
    if (
      policy &&
      !(seen.resource ? policy.ruleInMemory(interaction, seen.resource) : policy.allows(interaction, resourceType))
    ) {
      fail(core.forbidden);
    }
    return seen;
  }

  /** Waits until no other transaction is running, and charges the caller. */
  private async begin(interaction: AccessPolicyInteraction): Promise<void> {
    if (!this.undo) {
      await this.host.store.settled();
    }
    if (this.options.caller) {
      this.host.charge(this.options.caller, INTERACTION_POINTS[interaction]);
    }
  }
}

/** @throws OperationOutcomeError 404 for another kind of repository, which no request has. */
export function emulated(repository: unknown): EmulatorRepository {
  return repository instanceof EmulatorRepository ? repository : fail(core.notFound);
}
