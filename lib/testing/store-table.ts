import type { StoredResource } from './emulator.types';
import { indexKeys, searchValues, type SearchValues } from './search-values';

/** One version of a resource; without `resource` it records the deletion. */
export interface Version {
  readonly versionId: string;
  readonly lastUpdated: string;
  /** Grows with every write of the store, and so orders the writes of one millisecond. */
  readonly sequence: number;
  readonly resource?: StoredResource;
  /** Values of search parameters, extracted once per version and parameter. */
  readonly values: Map<string, SearchValues>;
}

/** All versions of one resource, oldest first. */
export interface Row {
  readonly resourceType: string;
  readonly id: string;
  readonly project: string | undefined;
  readonly versions: Version[];
}

type Index = Map<string, Set<Row>>;

/** The steps that undo the writes of a failed transaction. */
export type UndoLog = (() => void)[];

/** The newest version of a row. */
export function currentVersion(row: Row): Version {
  const version = row.versions.at(-1);
  if (!version) {
    throw new Error(
      `A ${row.resourceType} in the emulator has no version. This is a bug in nestjs-medplum: report it.`,
    );
  }
  return version;
}

/** The rows of one resource type. */
export class Table {
  readonly rows = new Map<string, Row>();
  /** One index per search parameter. It is built when it is first used, and kept up to date from then on. */
  private readonly indexes = new Map<string, Index>();

  /** The rows whose current version has `key` under the search parameter `code`. */
  find(code: string, key: string): ReadonlySet<Row> | undefined {
    let index = this.indexes.get(code);
    if (!index) {
      index = new Map();
      this.indexes.set(code, index);
      for (const row of this.rows.values()) {
        this.enter(index, code, row, currentVersion(row));
      }
    }
    return index.get(key);
  }

  /** Replaces the index entries of `before` by those of `after`. */
  reindex(row: Row, before: Version | undefined, after: Version | undefined): void {
    for (const [code, index] of this.indexes) {
      for (const key of before?.resource ? indexKeys(searchValues(before, before.resource, code)) : []) {
        index.get(key)?.delete(row);
      }
      if (after) {
        this.enter(index, code, row, after);
      }
    }
  }

  /** Removes a version, as if it had never been written. */
  remove(row: Row, version: Version): void {
    const wasCurrent = row.versions.at(-1) === version;
    row.versions.splice(row.versions.indexOf(version), 1);
    if (wasCurrent) {
      this.reindex(row, version, row.versions.at(-1));
    }
    if (row.versions.length === 0) {
      this.rows.delete(row.id);
    }
  }

  private enter(index: Index, code: string, row: Row, version: Version): void {
    for (const key of version.resource ? indexKeys(searchValues(version, version.resource, code)) : []) {
      const rows = index.get(key);
      if (rows) {
        rows.add(row);
      } else {
        index.set(key, new Set([row]));
      }
    }
  }
}
