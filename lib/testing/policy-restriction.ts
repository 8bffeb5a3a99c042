import type { SearchRequest } from '@medplum/core';
import type { Resource } from './emulator.types';
import { core } from './medplum-peers';
import { compileFilter } from './search-filter';
import { parseCriteria } from './search-query';
import type { CompiledFilter, SearchScope } from './search.types';

/**
 * The criteria and the compartment of one rule. The server evaluates them in two ways: with a search for reads, and in
 * memory for everything else, where chains and quantities never match.
 */
export class Restriction {
  private readonly requests = new Map<string, SearchRequest>();
  private readonly filtersByType = new Map<string, readonly CompiledFilter[]>();
  /** The targets of a chain may change between two requests, so its filters are not kept. */
  private readonly isChained: boolean;

  constructor(
    private readonly scope: SearchScope,
    private readonly criteria: string | undefined,
    /** `Type/id` of the deprecated compartment of a single rule. */
    private readonly compartment: string | undefined,
  ) {
    this.isChained = /[?&](_has:|[^=&]*\.)/.test(criteria ?? '');
  }

  /** Whether the rule covers the resource, judged by the resource alone. */
  matchesInMemory(resource: Resource): boolean {
    const { compartment } = this;
    if (compartment && !resource.meta?.compartment?.some(({ reference }) => reference === compartment)) {
      return false;
    }
    try {
      return !this.criteria || core.matchesSearchRequest(resource, this.request(resource.resourceType));
    } catch {
      return false;
    }
  }

  /**
   * The filters of a search. Criteria of another form than `Type?...` match nothing.
   *
   * @throws OperationOutcomeError 400 for criteria that the server cannot search with
   */
  filters(resourceType: string): readonly CompiledFilter[] {
    let filters = this.filtersByType.get(resourceType);
    if (!filters) {
      filters = this.compile(resourceType);
      if (!this.isChained) {
        this.filtersByType.set(resourceType, filters);
      }
    }
    return filters;
  }

  private compile(resourceType: string): CompiledFilter[] {
    const { scope, criteria, compartment } = this;
    const request = this.request(resourceType);
    if (request.resourceType !== resourceType) {
      return [{ matches: () => false }];
    }
    const all = [
      ...(criteria ? (request.filters ?? []) : []),
      ...(compartment ? [{ code: '_compartment', operator: 'eq' as const, value: compartment }] : []),
    ];
    return all.map((filter) => compileFilter(scope, resourceType, filter));
  }

  /** The criteria for one type: `*?_compartment=...` stands for every type. */
  private request(resourceType: string): SearchRequest {
    let request = this.requests.get(resourceType);
    if (!request) {
      request = parseCriteria(this.criteria?.replace(/^\*(?=\?)/, resourceType) ?? resourceType);
      this.requests.set(resourceType, request);
    }
    return request;
  }
}
