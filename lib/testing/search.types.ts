import type { Filter } from '@medplum/core';
import type { MedplumServerVersion, StoredResource } from './emulator.types';
import type { Store, Version } from './store';

/** Where a search looks. */
export interface SearchScope {
  readonly store: Store;
  /** Id of the project whose resources are seen. */
  readonly project: string | undefined;
  readonly serverVersion: MedplumServerVersion;
}

/** Whether the resource of a version matches. */
export type Predicate = (version: Version, resource: StoredResource) => boolean;

/** A filter made ready for many resources. */
export interface CompiledFilter {
  readonly matches: Predicate;
  /** When an index can name the candidates: the parameter and the values to look up. */
  readonly lookup?: { readonly code: string; readonly keys: readonly string[] };
}

/** Makes a filter ready; throws an OperationOutcomeError (400) for unknown parameters and refused values. */
export type CompileFilter = (scope: SearchScope, resourceType: string, filter: Filter) => CompiledFilter;
