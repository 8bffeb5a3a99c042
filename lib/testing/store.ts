import { randomUUID } from 'node:crypto';
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

class Table {
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

/** The state of a store, for {@link Store.restore}. Opaque. */
export interface StoreSnapshot {
  readonly rows: readonly Row[];
}

/** Versioned resources in memory, with indexes and snapshots. It runs one transaction at a time. */
export class Store {
  private tables = new Map<string, Table>();
  private readonly blobs = new Map<string, Buffer>();
  private sequence = 0;
  private queue: Promise<unknown> | undefined;

  get(resourceType: string, id: string): Row | undefined {
    return this.tables.get(resourceType)?.rows.get(id);
  }

  /** All rows of a type, oldest first, deleted ones included. */
  rows(resourceType: string): Iterable<Row> {
    return this.tables.get(resourceType)?.rows.values() ?? [];
  }

  /** The types that the store has ever held. */
  types(): readonly string[] {
    return [...this.tables.keys()];
  }

  /** Rows whose current version holds one of `keys` under the search parameter `code`. */
  lookup(resourceType: string, code: string, keys: readonly string[]): ReadonlySet<Row> {
    const table = this.tables.get(resourceType);
    if (code === '_id') {
      return new Set(keys.flatMap((id) => table?.rows.get(id) ?? []));
    }
    const [first, ...others] = keys;
    const found = (first === undefined ? undefined : table?.find(code, first)) ?? new Set<Row>();
    return others.length === 0
      ? found
      : new Set([...found, ...others.flatMap((key) => [...(table?.find(code, key) ?? [])])]);
  }

  /** Makes a version that is not stored yet. Without a resource it records a deletion. */
  draft(resource: StoredResource | undefined, lastUpdated: string, versionId: string = randomUUID()): Version {
    return { versionId, lastUpdated, sequence: ++this.sequence, values: new Map(), ...(resource && { resource }) };
  }

  /**
   * Appends a version, and creates the row if it is new.
   *
   * @param undo log of the transaction that writes. Each transaction undoes only its own writes.
   */
  append(resourceType: string, id: string, project: string | undefined, version: Version, undo?: UndoLog): void {
    const table = this.tables.get(resourceType) ?? new Table();
    this.tables.set(resourceType, table);
    const row = table.rows.get(id) ?? { resourceType, id, project, versions: [] };
    const before = row.versions.at(-1);
    row.versions.push(version);
    table.rows.set(id, row);
    table.reindex(row, before, version);
    undo?.push(() => table.remove(row, version));
  }

  /** Removes a row with all of its versions. */
  expunge(row: Row): void {
    const table = this.tables.get(row.resourceType);
    for (const version of row.versions.toReversed()) {
      table?.remove(row, version);
    }
  }

  blob(id: string, versionId: string): Buffer | undefined {
    return this.blobs.get(`${id}/${versionId}`);
  }

  putBlob(id: string, versionId: string, content: Buffer): void {
    this.blobs.set(`${id}/${versionId}`, content);
  }

  /** Resolves when no transaction is running any more; `undefined` if none is, so that nobody waits without need. */
  settled(): Promise<unknown> | undefined {
    return this.queue;
  }

  /** Waits for running transactions, then runs `work` alone. If `work` fails, its writes are undone. */
  async transaction<T>(work: (undo: UndoLog) => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      const undo: UndoLog = [];
      try {
        return await work(undo);
      } catch (error) {
        for (const step of undo.toReversed()) {
          step();
        }
        throw error;
      }
    };
    const result = this.queue ? this.queue.then(run) : run();
    const settled = result.then(
      () => undefined,
      () => undefined,
    );
    this.queue = settled;
    try {
      return await result;
    } finally {
      if (this.queue === settled) {
        this.queue = undefined;
      }
    }
  }

  snapshot(): StoreSnapshot {
    const rows: Row[] = [];
    for (const table of this.tables.values()) {
      for (const row of table.rows.values()) {
        rows.push({ ...row, versions: row.versions.slice() });
      }
    }
    return { rows };
  }

  restore(snapshot: StoreSnapshot): void {
    this.tables = new Map();
    for (const row of snapshot.rows) {
      let table = this.tables.get(row.resourceType);
      if (!table) {
        table = new Table();
        this.tables.set(row.resourceType, table);
      }
      table.rows.set(row.id, { ...row, versions: row.versions.slice() });
    }
  }
}
