import type { SearchRequest, WithId } from '@medplum/core';
import type { Bundle, BundleEntry } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { fullUrl, searchsetBundle } from './bundles';
import type { Resource, StoredResource } from './emulator.types';
import { fhirRouter, core } from './medplum-peers';
import type { RepositoryHost } from './repository.types';
import type { ResourceAccess } from './resource-access';
import { findPage, type SearchHit, type SearchPage } from './search';

/** The searches of one caller: they find and show only what the caller's policy grants. */
export class ResourceSearch {
  constructor(
    private readonly host: RepositoryHost,
    private readonly access: ResourceAccess,
  ) {}

  /**
   * Finds one page of matches, with the resources that the request includes.
   *
   * @param repository reads the resources of `_include`.
   * @throws OperationOutcomeError 400 for an unknown type, 403 for a type that the caller may not search.
   */
  async bundle(request: SearchRequest, repository: InstanceType<typeof fhirRouter.FhirRepository>): Promise<Bundle> {
    for (const resourceType of core.getSearchResourceTypes(request)) {
      this.access.requireKnownType(resourceType);
      this.access.requireInteraction('search', resourceType);
    }
    const { baseUrl } = this.host;
    const page = this.find(request);
    const matches = page.hits.map((hit) => this.present(hit));
    const entry: BundleEntry[] = matches.map((resource) => ({
      fullUrl: fullUrl(baseUrl, resource.resourceType, resource.id),
      search: { mode: 'match' },
      resource: request.fields ? core.subsetResource(resource, request.fields) : resource,
    }));
    if (request.include || request.revInclude) {
      await fhirRouter.getExtraEntries(repository, page.request, matches, entry, {
        fullUrl: (type, id) => fullUrl(baseUrl, type, id),
        executeSearch: (inner) => this.included(inner),
      });
    }
    return searchsetBundle(baseUrl, page, entry);
  }

  /** For `_revinclude`: a type that the caller may not search adds nothing. */
  private async included(request: SearchRequest): Promise<WithId<Resource>[]> {
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
