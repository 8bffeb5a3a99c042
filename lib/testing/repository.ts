import type { AccessPolicyInteraction, Operation, SearchRequest, WithId } from '@medplum/core';
import type { DeleteResourceOptions, ReadHistoryOptions, UpdateResourceOptions } from '@medplum/fhir-router';
import type { AccessPolicyResource, Bundle, BundleEntry, Parameters } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { fullUrl, historyEntry, searchsetBundle } from './bundles';
import { INTERACTION_POINTS, type Caller } from './caller';
import type { FhirDefinitions } from './definitions';
import type { Reference, Resource, StoredResource } from './emulator.types';
import { core, fhirRouter } from './medplum-peers';
import { fail } from './outcome-error';
import { changedResource, draftResource, isUnchanged, presentResource, withoutEmptyStrings } from './resource-meta';
import { ResourceAccess, type Seen } from './resource-access';
import { findPage, type SearchHit } from './search';
import type { SearchScope } from './search.types';
import { currentVersion, type UndoLog, type Version } from './store';
import { satisfiesConstraints } from './write-constraint';

/** What a repository needs of its emulator. */
export interface RepositoryHost extends SearchScope {
  readonly definitions: FhirDefinitions;
  /** `http://127.0.0.1:1234/` */
  readonly baseUrl: string;
  /** Whether resources are validated. */
  readonly strictMode: boolean;
  /** Counts points of the caller's quota; throws an OperationOutcomeError (429) when it is used up. */
  charge(caller: Caller, points: number): void;
  /** A time for `meta.lastUpdated`, never earlier than the last one. */
  now(): string;
}

/** How one request sees the store. */
export interface RepositoryOptions {
  /** `undefined`: the server itself, which may do everything. */
  readonly caller: Caller | undefined;
  /** Whether answers show author, project, account and compartment. */
  readonly extended: boolean;
  /** `meta.author` of the server itself. */
  readonly author?: Reference;
}

/**
 * The store as one caller sees it: every read, search and write passes his access policy, every write gets his stamps.
 * `FhirRouter` takes one per request, so that batches, transactions, conditional requests and GraphQL are checked alike.
 */
export class EmulatorRepository extends fhirRouter.FhirRepository {
  /** Present inside a transaction. */
  private undo: UndoLog | undefined;
  private readonly access: ResourceAccess;

  constructor(
    private readonly host: RepositoryHost,
    private readonly options: RepositoryOptions,
  ) {
    super();
    this.access = new ResourceAccess(host, options.caller?.policy);
  }

  setMode(): void {
    // One process, one copy: there are no readers and writers.
  }

  generateId(): string {
    return core.generateId();
  }

  async createResource<T extends Resource>(resource: T, options?: { assignedId?: boolean }): Promise<WithId<T>> {
    await this.begin('create');
    const { resourceType } = resource;
    this.access.requireInteraction('create', resourceType);
    const id = options?.assignedId && resource.id ? resource.id : this.generateId();
    return this.write('create', { ...resource, id }, undefined) as WithId<T>;
  }

  async readResource<T extends Resource>(resourceType: string, id: string): Promise<WithId<T>> {
    await this.begin('read');
    return this.present(this.access.readable('read', resourceType, id)) as WithId<T>;
  }

  /** Like `readResource`, but free of charge: for look-ups that the server makes for itself. */
  async readUncounted(resourceType: string, id: string): Promise<Resource> {
    await this.host.store.settled();
    return this.present(this.access.readable('read', resourceType, id));
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
    this.access.requireInteraction('history', resourceType);
    const { row } = this.access.visible('read', resourceType, id);
    const offset = options?.offset ?? 0;
    const versions = row.versions.toReversed().slice(offset, offset + (options?.limit ?? row.versions.length));
    return {
      resourceType: 'Bundle',
      type: 'history',
      entry: versions.map((version) => {
        const { resource } = version;
        const rule = resource && this.policy?.ruleFor('read', version, resource);
        const shown = resource && this.present({ row, version, resource, ...(rule && { rule }) });
        return historyEntry(this.host.baseUrl, row, version, shown);
      }),
      total: row.versions.length,
    } as Bundle<WithId<T>>;
  }

  async readVersion<T extends Resource>(resourceType: string, id: string, versionId: string): Promise<WithId<T>> {
    await this.begin('vread');
    this.access.requireInteraction('vread', resourceType);
    const { row, rule } = this.access.visible('read', resourceType, id);
    const version = row.versions.find((candidate) => candidate.versionId === versionId) ?? fail(core.notFound);
    const resource = version.resource ?? fail(core.gone);
    return this.present({ row, version, resource, ...(rule && { rule }) }) as WithId<T>;
  }

  async updateResource<T extends Resource>(resource: T, options?: UpdateResourceOptions): Promise<WithId<T>> {
    await this.begin('update');
    return this.update(resource, options) as WithId<T>;
  }

  async patchResource<T extends Resource>(
    resourceType: T['resourceType'],
    id: string,
    patch: Operation[] | Parameters,
    options?: UpdateResourceOptions,
  ): Promise<WithId<T>> {
    await this.begin('update');
    // Like the server: the patch is applied before the policy is asked, so its errors may quote what the caller cannot see.
    const row = this.access.findRow(resourceType, id) ?? fail(core.notFound);
    const patched = structuredClone(currentVersion(row).resource ?? fail(core.gone));
    if (Array.isArray(patch)) {
      const [problem] = core.applyPatch(patched, patch).filter((error) => error !== null);
      if (problem) {
        fail(core.badRequest(problem.message));
      }
    } else {
      core.fhirpathPatchTypedValue(core.toTypedValue(patched), core.parseFhirPathPatchParameters(patch));
    }
    return this.update(patched, options) as WithId<T>;
  }

  async deleteResource(resourceType: string, id: string, options?: DeleteResourceOptions): Promise<void> {
    await this.begin('delete');
    const { version, resource } = this.access.visible('read', resourceType, id);
    if (!resource) {
      return; // A second deletion changes nothing.
    }
    if (this.policy && !this.policy.ruleFor('delete', version, resource)) {
      fail(core.forbidden);
    }
    if (options?.ifMatch && options.ifMatch !== version.versionId) {
      fail(core.preconditionFailed);
    }
    this.host.store.append(
      resourceType,
      id,
      this.host.project,
      this.host.store.draft(undefined, this.host.now()),
      this.undo,
    );
  }

  async search<T extends Resource>(request: SearchRequest<T>): Promise<Bundle<WithId<T>>> {
    await this.begin('search');
    for (const resourceType of core.getSearchResourceTypes(request)) {
      this.access.requireKnownType(resourceType);
      this.access.requireInteraction('search', resourceType);
    }
    return (await this.searchBundle(request)) as Bundle<WithId<T>>;
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
    const inside = new EmulatorRepository(this.host, this.options);
    return this.host.store.transaction((undo) => {
      inside.undo = undo;
      return work(inside as this);
    });
  }

  get serverVersion(): SearchScope['serverVersion'] {
    return this.host.serverVersion;
  }

  /** The types that can belong to a patient's compartment. */
  get patientTypes(): readonly string[] {
    return [...this.host.definitions.patientCompartment.keys()].filter((type) => type !== 'Patient');
  }

  /** All resources of a type that the caller may find, for an export. */
  async everythingOf(resourceType: string): Promise<readonly Resource[]> {
    const pages: Resource[] = [];
    for (let offset = 0; ; offset += 1000) {
      const page = await this.searchResources({ resourceType, count: 1000, offset } as SearchRequest);
      pages.push(...page);
      if (page.length < 1000) {
        return pages;
      }
    }
  }

  private get policy(): Caller['policy'] | undefined {
    return this.options.caller?.policy;
  }

  /** Waits for a running transaction of somebody else, and pays. */
  private async begin(interaction: AccessPolicyInteraction): Promise<void> {
    if (!this.undo) {
      await this.host.store.settled();
    }
    if (this.options.caller) {
      this.host.charge(this.options.caller, INTERACTION_POINTS[interaction]);
    }
  }

  private update(resource: Resource, options: UpdateResourceOptions | undefined): Resource {
    const { resourceType, id } = resource;
    this.access.requireInteraction('read', resourceType);
    this.access.requireInteraction('update', resourceType);
    const existing = this.access.visible('read', resourceType, id ?? '');
    if (options?.ifMatch && options.ifMatch !== existing.version.versionId) {
      fail(core.preconditionFailed);
    }
    return this.write('update', { ...resource, id: existing.row.id }, existing);
  }

  /** Stamps, validates, checks and stores a resource. */
  private write(
    interaction: 'create' | 'update',
    input: Resource & { id: string },
    existing: Seen | undefined,
  ): Resource {
    const { resourceType, id } = input;
    this.access.requireKnownType(resourceType);
    const { caller } = this.options;
    const rule = existing?.resource && this.policy?.ruleFor(interaction, existing.version, existing.resource);
    if (existing?.resource && this.policy && !rule) {
      fail(core.forbidden);
    }
    const lastUpdated = this.host.now();
    const { versionId } = this.host.store.draft(undefined, lastUpdated);
    const cleaned = { ...withoutEmptyStrings(input), ...(input.meta && { meta: withoutEmptyStrings(input.meta) }) };
    const restored = existing?.resource && rule ? changedResource(cleaned, existing.resource, rule) : cleaned;
    const stamped = draftResource(restored, {
      definitions: this.host.definitions,
      store: this.host.store,
      existing: existing?.resource,
      caller,
      author: this.options.author,
      extended: this.options.extended,
      project: this.host.project,
      versionId,
      lastUpdated,
    });
    if (this.host.strictMode) {
      core.validateResource(stamped);
    }
    return this.commit(interaction, stamped, existing, this.host.store.draft(stamped, lastUpdated, versionId), id);
  }

  private commit(
    interaction: 'create' | 'update',
    stamped: StoredResource,
    existing: Seen | undefined,
    draft: Version,
    id: string,
  ): Resource {
    if (existing?.resource && isUnchanged(existing.resource, stamped)) {
      return this.present({ ...existing, resource: existing.resource });
    }
    const rule = this.policy?.ruleFor(interaction, draft, stamped);
    if (this.policy && (!rule || !satisfiesConstraints(rule, existing?.resource, stamped))) {
      fail(core.forbidden);
    }
    let version = draft;
    if (!existing && rule && (rule.hiddenFields || rule.readonlyFields)) {
      const reduced = changedResource(stamped, undefined, rule);
      version = this.host.store.draft(reduced, draft.lastUpdated, draft.versionId);
    }
    this.host.store.append(stamped.resourceType, id, this.host.project, version, this.undo);
    const row = this.host.store.get(stamped.resourceType, id) ?? fail(core.notFound);
    return this.present({ row, version, resource: version.resource ?? stamped, ...(rule && { rule }) });
  }

  private async searchBundle(request: SearchRequest): Promise<Bundle> {
    const { baseUrl } = this.host;
    const page = findPage(this.host, request, (type) => this.policy?.searchFilter(type));
    const matches = page.hits.map((hit) => this.present({ ...hit, ...this.readRule(hit) }));
    const entry: BundleEntry[] = matches.map((resource) => ({
      fullUrl: fullUrl(baseUrl, resource.resourceType, resource.id),
      search: { mode: 'match' },
      resource: request.fields ? core.subsetResource(resource, request.fields) : resource,
    }));
    if (request.include || request.revInclude) {
      await fhirRouter.getExtraEntries(this, page.request, matches, entry, {
        fullUrl: (type, id) => fullUrl(baseUrl, type, id),
        executeSearch: (inner) => this.searchQuietly(inner),
      });
    }
    return searchsetBundle(baseUrl, page, entry);
  }

  /** For `_revinclude`: a type that the caller may not search adds nothing. */
  private async searchQuietly(request: SearchRequest): Promise<WithId<Resource>[]> {
    if (this.policy && !this.policy.allows('search', request.resourceType)) {
      return [];
    }
    const { hits } = findPage(this.host, request, (type) => this.policy?.searchFilter(type));
    return hits.map((hit) => this.present({ ...hit, ...this.readRule(hit) }));
  }

  private readRule({ version, resource }: SearchHit): { rule?: AccessPolicyResource } {
    const rule = this.policy?.ruleFor('search', version, resource);
    return rule ? { rule } : {};
  }

  private present({ resource, rule }: Seen & { resource: StoredResource }): StoredResource {
    return presentResource(resource, this.options.extended, rule?.hiddenFields);
  }
}
