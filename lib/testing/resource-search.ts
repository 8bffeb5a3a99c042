import type { SearchRequest } from '@medplum/core';
import type { Bundle, BundleEntry } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { fullUrl, searchsetBundle } from './bundles';
import type { Reference, StoredResource } from './emulator.types';
import { core } from './medplum-peers';
import { fail } from './outcome-error';
import type { RepositoryHost } from './repository.types';
import type { ResourceAccess } from './resource-access';
import { findPage } from './search';
import type { SearchHit } from './search.types';
import { withFields } from './search-fields';
import { includedResources } from './search-include';
import type { SearchPage } from './search-page';

/** The searches of one caller: they find and show only what the caller's policy grants. */
export class ResourceSearch {
  constructor(
    private readonly host: RepositoryHost,
    private readonly access: ResourceAccess,
  ) {}

  /**
   * Finds one page of matches, with the resources that the request includes.
   *
   * @param read reads the resources of `_include` that the caller may see.
   * @throws OperationOutcomeError 400 for an unknown type, 403 for a type that the caller may not search.
   */
  async bundle(
    request: SearchRequest,
    read: (references: readonly Reference[]) => Promise<StoredResource[]>,
  ): Promise<Bundle> {
    for (const resourceType of core.getSearchResourceTypes(request)) {
      this.access.requireKnownType(resourceType);
      if (resourceType === 'Binary') {
        fail(core.badRequest('Cannot search on Binary resource type'));
      }
      this.access.requireInteraction('search', resourceType);
    }
    const { baseUrl } = this.host;
    const page = this.find(request);
    const matches = page.hits.map((hit) => this.present(hit));
    const included =
      request.include || request.revInclude
        ? await includedResources(request, matches, { read, find: (inner) => this.included(inner) })
        : [];
    const entry = (mode: 'match' | 'include') => (resource: StoredResource) =>
      ({
        fullUrl: fullUrl(baseUrl, resource.resourceType, resource.id),
        search: { mode },
        resource: withFields(resource, request),
      }) satisfies BundleEntry;
    return searchsetBundle(baseUrl, page, [...matches.map(entry('match')), ...included.map(entry('include'))]);
  }

  /** A type that the caller may not search adds nothing. */
  private included(request: SearchRequest): StoredResource[] {
    if (this.access.policy && !this.access.policy.allows('search', request.resourceType)) {
      return [];
    }
    return this.find(request).hits.map((hit) => this.present(hit));
  }

  private find(request: SearchRequest): SearchPage {
    return findPage(this.host, request, (type) => this.access.policy?.searchFilter(type));
  }

  private present({ version, resource }: SearchHit): StoredResource {
    const rule = this.access.policy?.ruleFor('search', version, resource);
    return this.access.present({ resource, ...(rule && { rule }) });
  }
}
