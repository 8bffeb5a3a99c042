import type { Caller } from './caller';
import type { FhirDefinitions } from './definitions';
import type { Reference } from './emulator.types';
import type { SearchScope } from './search.types';

/** What a repository needs from its emulator. */
export interface RepositoryHost extends SearchScope {
  readonly definitions: FhirDefinitions;
  /** For example `http://127.0.0.1:1234/` */
  readonly baseUrl: string;
  /** Whether resources are validated. */
  readonly strictMode: boolean;
  /** Charges points to the caller's quota. Throws an OperationOutcomeError (429) if it is used up. */
  charge(caller: Caller, points: number): void;
  /** The time for `meta.lastUpdated`, never earlier than the one before. */
  now(): string;
}

/** How one request sees the store. */
export interface RepositoryOptions {
  /** `undefined` for the server itself, which may do everything. */
  readonly caller: Caller | undefined;
  /** Whether responses show author, project, account and compartment. */
  readonly extended: boolean;
  /** `meta.author` of what the server itself writes. */
  readonly author?: Reference;
}
