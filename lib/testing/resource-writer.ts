import type { Operation } from '@medplum/core';
import type { DeleteResourceOptions, UpdateResourceOptions } from '@medplum/fhir-router';
import type { AccessPolicyResource, Parameters } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { Resource, StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { fail } from './outcome-error';
import type { RepositoryHost, RepositoryOptions } from './repository.types';
import type { ResourceAccess, Seen } from './resource-access';
import { keepProtectedFields } from './resource-fields';
import { draftResource, isUnchanged, withoutEmptyValues } from './resource-meta';
import { patchResource } from './resource-patch';
import { validateResource } from './resource-validation';
import { currentVersion, type UndoLog, type Version } from './store';
import { satisfiesConstraints } from './write-constraint';

/** The writes of one caller. Each of them is stamped, validated, checked against the policy, and stored. */
export class ResourceWriter {
  constructor(
    private readonly host: RepositoryHost,
    private readonly options: RepositoryOptions,
    private readonly access: ResourceAccess,
    /** Present inside a transaction. */
    private readonly undo: UndoLog | undefined,
  ) {}

  create(resource: Resource & { id: string }): Resource {
    this.access.requireInteraction('create', resource.resourceType);
    return this.write('create', resource, undefined);
  }

  update(resource: Resource, options: UpdateResourceOptions | undefined): Resource {
    const existing = this.requireUpdatable(resource);
    const rule = existing.resource && this.access.policy?.ruleInMemory('update', existing.resource);
    if (existing.resource && this.access.policy && !rule) {
      fail(core.forbidden);
    }
    requireVersion(existing.version, options?.ifMatch);
    return this.write('update', { ...resource, id: existing.row.id }, { ...existing, ...(rule && { rule }) });
  }

  /** The resource that an update replaces. Throws what the server throws before it looks at the new content. */
  requireUpdatable({ resourceType, id }: Resource): Seen {
    if (!resourceType || !id) {
      return fail(core.badRequest('Missing id'));
    }
    if (!core.isUUID(id)) {
      return fail(core.badRequest('Invalid id'));
    }
    this.access.requireInteraction('update', resourceType);
    return this.access.visible('read', resourceType, id);
  }

  /**
   * Applies a patch to a copy of the stored resource. Like the server, this comes before the checks of the policy. So a
   * patch error may quote hidden content.
   */
  patched(resourceType: string, id: string, patch: Operation[] | Parameters): Resource {
    if (core.isUUID(id) && !this.access.isKnownType(resourceType)) {
      fail(core.badRequest(`relation "${resourceType}" does not exist`));
    }
    const row = this.access.findRow(resourceType, id) ?? fail(core.notFound);
    return patchResource(currentVersion(row).resource ?? fail(core.gone), patch);
  }

  /** Deletes a resource. A second deletion changes nothing. */
  delete(resourceType: string, id: string, options: DeleteResourceOptions | undefined): void {
    const { row, version, resource } = this.access.visible('read', resourceType, id);
    if (!resource) {
      return;
    }
    if (this.access.policy && !this.access.policy.ruleInMemory('delete', resource)) {
      fail(core.forbidden);
    }
    requireVersion(version, options?.ifMatch);
    const { store, project } = this.host;
    // The id of the row, because the id in the request may be in upper case.
    store.append(resourceType, row.id, project, store.draft(undefined, this.host.now()), this.undo);
  }

  private write(
    interaction: 'create' | 'update',
    input: Resource & { id: string },
    existing: Seen | undefined,
  ): Resource {
    if (!this.access.isKnownType(input.resourceType)) {
      fail(core.badRequest(`Unknown data type: ${input.resourceType}`));
    }
    const before = existing?.resource;
    const rule = before ? existing.rule : this.access.policy?.ruleInMemory('create', input);
    const restored = rule ? keepProtectedFields(input, before, rule) : input;
    const lastUpdated = this.host.now();
    const { versionId } = this.host.store.draft(undefined, lastUpdated);
    const stamped = draftResource(restored, {
      definitions: this.host.definitions,
      store: this.host.store,
      existing: before,
      caller: this.options.caller,
      author: this.options.author,
      extended: this.options.extended,
      project: this.host.project,
      versionId,
      lastUpdated,
    });
    if (this.host.strictMode) {
      validateResource(stamped, this.host.serverVersion);
    }
    const cleaned = withoutEmptyValues(stamped);
    return this.commit(interaction, cleaned, existing, this.host.store.draft(cleaned, lastUpdated, versionId));
  }

  private commit(
    interaction: 'create' | 'update',
    stamped: StoredResource,
    existing: Seen | undefined,
    draft: Version,
  ): Resource {
    if (existing?.resource && isUnchanged(existing.resource, stamped)) {
      return this.present(existing.resource, existing.rule);
    }
    const { policy } = this.access;
    const rule = policy?.ruleInMemory(interaction, stamped);
    if (policy && (!rule || !satisfiesConstraints(rule, existing?.resource, stamped))) {
      fail(core.forbidden);
    }
    this.host.store.append(stamped.resourceType, stamped.id, this.host.project, draft, this.undo);
    return this.present(stamped, rule);
  }

  /** What the caller may see of the result: the rule for reading decides, and without one the rule for the write. */
  private present(resource: StoredResource, written: AccessPolicyResource | undefined): Resource {
    const rule = this.access.policy?.ruleInMemory('read', resource) ?? written;
    return this.access.present({ resource, ...(rule && { rule }) });
  }
}

/** @throws OperationOutcomeError 412 unless this is the version that `If-Match` names, if it names one. */
function requireVersion(version: Version, ifMatch: string | undefined): void {
  if (ifMatch && ifMatch !== version.versionId) {
    fail(core.preconditionFailed);
  }
}
