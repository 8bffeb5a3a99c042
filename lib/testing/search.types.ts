import type { Filter } from '@medplum/core';
import type { MedplumServerVersion, StoredResource } from './emulator.types';
import type { Store, Version } from './store';

/** Where a search looks. */
export interface SearchScope {
  readonly store: Store;
  /** Id of the project whose resources are searched. */
  readonly project: string | undefined;
  readonly serverVersion: MedplumServerVersion;
}

/** Whether the resource of a version matches. */
export type Predicate = (version: Version, resource: StoredResource) => boolean;

/** A filter that is compiled once and tests many resources. */
export interface CompiledFilter {
  readonly matches: Predicate;
  /** The parameter and the values to look up, if an index can find the candidates. */
  readonly lookup?: { readonly code: string; readonly keys: readonly string[] };
}

/** Compiles a filter. Throws an OperationOutcomeError (400) for unknown parameters and refused values. */
export type CompileFilter = (scope: SearchScope, resourceType: string, filter: Filter) => CompiledFilter;
