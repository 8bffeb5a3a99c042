import type { AccessPolicyInteraction } from '@medplum/core';
import type { AccessPolicyResource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { EffectivePolicy } from './access-policy';
import type { StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { isNewerType } from './newer-definitions';
import { fail } from './outcome-error';
import type { RepositoryHost, RepositoryOptions } from './repository.types';
import { presentResource } from './resource-meta';
import type { SearchHit } from './search.types';
import { currentVersion, type Row, type Version } from './store';

/** A resource that the caller may know of, at one version. */
export interface Seen {
  readonly row: Row;
  readonly version: Version;
  /** Absent if the version records a deletion. */
  readonly resource?: StoredResource;
  readonly rule?: AccessPolicyResource;
}

/** What one caller may see of the store. */
export class ResourceAccess {
  /** `undefined` for the server itself, which may see everything. */
  readonly policy: EffectivePolicy | undefined;
  private readonly extended: boolean;

  constructor(
    private readonly host: RepositoryHost,
    { caller, extended }: RepositoryOptions,
  ) {
    this.policy = caller?.policy;
    this.extended = extended;
  }

  isKnownType(resourceType: string): boolean {
    const { definitions, serverVersion } = this.host;
    return definitions.resourceTypes.has(resourceType) && !isNewerType(serverVersion, resourceType);
  }

  /** @throws OperationOutcomeError 400 */
  requireKnownType(resourceType: string): void {
    if (!resourceType) {
      fail(core.validationError('Resource type is null'));
    }
    if (!this.isKnownType(resourceType)) {
      fail(core.validationError('Unknown resource type'));
    }
  }

  /** @throws OperationOutcomeError 403 */
  requireInteraction(interaction: AccessPolicyInteraction, resourceType: string): void {
    if (this.policy && !this.policy.allows(interaction, resourceType)) {
      fail(core.forbidden);
    }
  }

  /** Finds the row, whatever the rules of the policy say. A caller cannot reach another project. */
  findRow(resourceType: string, id: string): Row | undefined {
    if (!core.isUUID(id)) {
      return undefined;
    }
    const row = this.host.store.get(resourceType, id.toLowerCase());
    return row && (!this.policy || row.project === this.host.project) ? row : undefined;
  }

  /** Finds a resource that the caller may know of. One that the caller cannot see does not exist for them: 404. */
  visible(interaction: 'read' | 'search', resourceType: string, id: string): Seen {
    if (!core.isUUID(id)) {
      return fail(core.notFound);
    }
    this.requireKnownType(resourceType);
    this.requireInteraction(interaction, resourceType);
    const row = this.findRow(resourceType, id) ?? fail(core.notFound);
    const version = currentVersion(row);
    const { resource } = version;
    if (!this.policy) {
      return { row, version, ...(resource && { resource }) };
    }
    if (!resource) {
      // A deleted resource has nothing that criteria could match, so only a rule without criteria reveals it.
      return this.policy.allowsAll(interaction, resourceType) ? { row, version } : fail(core.notFound);
    }
    const rule = this.policy.ruleFor(interaction, version, resource) ?? fail(core.notFound);
    return { row, version, resource, rule };
  }

  /** Like {@link visible}, but throws 410 for a deleted resource. */
  readable(interaction: 'read' | 'search', resourceType: string, id: string): Seen & SearchHit {
    const seen = this.visible(interaction, resourceType, id);
    return { ...seen, resource: seen.resource ?? fail(core.gone) };
  }

  /** The resource as a response shows it to the caller. */
  present({ resource, rule }: Pick<Seen, 'rule'> & { readonly resource: StoredResource }): StoredResource {
    return presentResource(resource, this.extended, rule?.hiddenFields);
  }
}
