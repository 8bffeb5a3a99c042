import type { AccessPolicyInteraction } from '@medplum/core';
import type { AccessPolicyResource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { EffectivePolicy } from './access-policy';
import type { FhirDefinitions } from './definitions';
import type { StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { fail } from './outcome-error';
import type { SearchHit } from './search';
import type { SearchScope } from './search.types';
import { currentVersion, type Row, type Version } from './store';

/** A resource that the caller may know of. */
export interface Seen {
  readonly row: Row;
  readonly version: Version;
  /** Absent: the resource is deleted. */
  readonly resource?: StoredResource;
  readonly rule?: AccessPolicyResource;
}

/** What one caller may see of the store. */
export class ResourceAccess {
  constructor(
    private readonly host: SearchScope & { readonly definitions: FhirDefinitions },
    /** `undefined`: everything, for the server itself. */
    private readonly policy: EffectivePolicy | undefined,
  ) {}

  /** @throws OperationOutcomeError 400 */
  requireKnownType(resourceType: string): void {
    if (!this.host.definitions.resourceTypes.has(resourceType)) {
      fail(core.validationError('Unknown resource type'));
    }
  }

  /** @throws OperationOutcomeError 403 */
  requireInteraction(interaction: AccessPolicyInteraction, resourceType: string): void {
    if (this.policy && !this.policy.allows(interaction, resourceType)) {
      fail(core.forbidden);
    }
  }

  /** The row, whatever the policy says; other projects are out of reach for everybody. */
  findRow(resourceType: string, id: string): Row | undefined {
    if (!core.isUUID(id)) {
      return undefined;
    }
    const row = this.host.store.get(resourceType, id.toLowerCase());
    return row && (!this.policy || row.project === this.host.project) ? row : undefined;
  }

  /** The row, when the caller may know of it: what he cannot see is not there. */
  visible(interaction: AccessPolicyInteraction, resourceType: string, id: string): Seen {
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
      // Criteria cannot be compared with nothing, so only a rule without them reveals a deletion.
      return this.policy.allowsAll(interaction, resourceType) ? { row, version } : fail(core.notFound);
    }
    const rule = this.policy.ruleFor(interaction, version, resource) ?? fail(core.notFound);
    return { row, version, resource, rule };
  }

  /** Like {@link visible}, and 410 for a deletion. */
  readable(interaction: AccessPolicyInteraction, resourceType: string, id: string): Seen & SearchHit {
    const seen = this.visible(interaction, resourceType, id);
    return { ...seen, resource: seen.resource ?? fail(core.gone) };
  }
}
