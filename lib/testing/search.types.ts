import type { Filter } from '@medplum/core';
import type { MedplumServerVersion, StoredResource } from './emulator.types';
import type { SearchValues } from './search-values';
import type { Row, Store, Version } from './store';

/** Where a search looks. */
export interface SearchScope {
  readonly store: Store;
  /** Id of the project whose resources are searched. */
  readonly project: string | undefined;
  readonly serverVersion: MedplumServerVersion;
}

/**
 * The result of a comparison. `undefined` means that there is nothing to compare with. The server compares in SQL, where
 * the negation of such a result is no match either.
 */
export type Truth = boolean | undefined;

/** What a filter needs of a version: the cached values of its search parameters. */
export interface SearchableVersion {
  readonly lastUpdated: string;
  readonly values: Map<string, SearchValues>;
}

/** Whether the resource of a version matches. */
export type Predicate = (version: SearchableVersion, resource: StoredResource) => Truth;

/** Tests the values that one search parameter has in one resource. */
export type ValueTest = (values: SearchValues) => Truth;

/** A filter that is compiled once and tests many resources. */
export interface CompiledFilter {
  readonly matches: Predicate;
  /** The parameter and the values to look up, if an index can find the candidates. */
  readonly lookup?: { readonly code: string; readonly keys: readonly string[] };
}

/** Compiles a filter. Throws an OperationOutcomeError (400) for unknown parameters and refused values. */
export type CompileFilter = (scope: SearchScope, resourceType: string, filter: Filter) => CompiledFilter;

/** One match of a search. */
export interface SearchHit {
  readonly row: Row;
  readonly version: Version;
  readonly resource: StoredResource;
}
