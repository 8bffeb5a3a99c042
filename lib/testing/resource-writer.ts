import type { Operation } from '@medplum/core';
import type { DeleteResourceOptions, UpdateResourceOptions } from '@medplum/fhir-router';
import type { Parameters } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { Resource, StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { fail } from './outcome-error';
import type { RepositoryHost, RepositoryOptions } from './repository.types';
import type { ResourceAccess, Seen } from './resource-access';
import { draftResource, isUnchanged, keepProtectedFields, withoutEmptyValues } from './resource-meta';
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
    const { resourceType, id } = resource;
    this.access.requireInteraction('read', resourceType);
    this.access.requireInteraction('update', resourceType);
    const existing = this.access.visible('read', resourceType, id ?? '');
    requireVersion(existing.version, options?.ifMatch);
    return this.write('update', { ...resource, id: existing.row.id }, existing);
  }

  patch(
    resourceType: string,
    id: string,
    patch: Operation[] | Parameters,
    options: UpdateResourceOptions | undefined,
  ): Resource {
    // Like the server, this applies the patch before it checks the policy. So a patch error may quote hidden content.
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
    return this.update(patched, options);
  }

  /** Deletes a resource. A second deletion changes nothing. */
  delete(resourceType: string, id: string, options: DeleteResourceOptions | undefined): void {
    const { version, resource } = this.access.visible('read', resourceType, id);
    if (!resource) {
      return;
    }
    if (this.access.policy && !this.access.policy.ruleFor('delete', version, resource)) {
      fail(core.forbidden);
    }
    requireVersion(version, options?.ifMatch);
    const { store, project } = this.host;
    store.append(resourceType, id, project, store.draft(undefined, this.host.now()), this.undo);
  }

  private write(
    interaction: 'create' | 'update',
    input: Resource & { id: string },
    existing: Seen | undefined,
  ): Resource {
    this.access.requireKnownType(input.resourceType);
    const { policy } = this.access;
    const rule = existing?.resource && policy?.ruleFor(interaction, existing.version, existing.resource);
    if (existing?.resource && policy && !rule) {
      fail(core.forbidden);
    }
    const lastUpdated = this.host.now();
    const { versionId } = this.host.store.draft(undefined, lastUpdated);
    const cleaned = { ...withoutEmptyValues(input), ...(input.meta && { meta: withoutEmptyValues(input.meta) }) };
    const restored = existing?.resource && rule ? keepProtectedFields(cleaned, existing.resource, rule) : cleaned;
    const stamped = draftResource(restored, {
      definitions: this.host.definitions,
      store: this.host.store,
      existing: existing?.resource,
      caller: this.options.caller,
      author: this.options.author,
      extended: this.options.extended,
      project: this.host.project,
      versionId,
      lastUpdated,
    });
    if (this.host.strictMode) {
      core.validateResource(stamped);
    }
    return this.commit(interaction, stamped, existing, this.host.store.draft(stamped, lastUpdated, versionId));
  }

  private commit(
    interaction: 'create' | 'update',
    stamped: StoredResource,
    existing: Seen | undefined,
    draft: Version,
  ): Resource {
    if (existing?.resource && isUnchanged(existing.resource, stamped)) {
      return this.access.present({ ...existing, resource: existing.resource });
    }
    const { policy } = this.access;
    const rule = policy?.ruleFor(interaction, draft, stamped);
    if (policy && (!rule || !satisfiesConstraints(rule, existing?.resource, stamped))) {
      fail(core.forbidden);
    }
    let version = draft;
    if (!existing && rule && (rule.hiddenFields || rule.readonlyFields)) {
      const reduced = keepProtectedFields(stamped, undefined, rule);
      version = this.host.store.draft(reduced, draft.lastUpdated, draft.versionId);
    }
    this.host.store.append(stamped.resourceType, stamped.id, this.host.project, version, this.undo);
    return this.access.present({ resource: version.resource ?? stamped, ...(rule && { rule }) });
  }
}

/** @throws OperationOutcomeError 412 unless this is the version that `If-Match` names, if it names one. */
function requireVersion(version: Version, ifMatch: string | undefined): void {
  if (ifMatch && ifMatch !== version.versionId) {
    fail(core.preconditionFailed);
  }
}
