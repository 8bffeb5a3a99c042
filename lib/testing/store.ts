import { randomUUID } from 'node:crypto';
import type { StoredResource } from './emulator.types';
import { Table, type Row, type UndoLog, type Version } from './store-table';

export { currentVersion } from './store-table';
export type { Row, UndoLog, Version } from './store-table';

/** The content of a store as JSON can hold it. */
export interface StoreDump {
  readonly rows: readonly (Omit<Row, 'versions'> & { readonly versions: readonly Omit<Version, 'values'>[] })[];
  /** Content of Binaries by `id/version`, as base64. */
  readonly blobs: Readonly<Record<string, string>>;
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
  /** Called after each change. */
  onChange: (() => void) | undefined;

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
    this.onChange?.();
  }

  /** Removes a row with all of its versions. */
  expunge(row: Row): void {
    const table = this.tables.get(row.resourceType);
    for (const version of row.versions.toReversed()) {
      table?.remove(row, version);
    }
    this.onChange?.();
  }

  blob(id: string, versionId: string): Buffer | undefined {
    return this.blobs.get(`${id}/${versionId}`);
  }

  putBlob(id: string, versionId: string, content: Buffer): void {
    this.blobs.set(`${id}/${versionId}`, content);
    this.onChange?.();
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
        this.onChange?.();
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
    this.onChange?.();
  }

  dump(): StoreDump {
    const rows = this.snapshot().rows.map(({ versions, ...row }) => ({
      ...row,
      versions: versions.map(({ values: _values, ...version }) => version),
    }));
    const blobs = [...this.blobs].map(([key, content]) => [key, content.toString('base64')] as const);
    return { rows, blobs: Object.fromEntries(blobs) };
  }

  load({ rows, blobs }: StoreDump): void {
    this.restore({
      rows: rows.map((row) => ({
        ...row,
        versions: row.versions.map((version) => ({ ...version, values: new Map() })),
      })),
    });
    for (const [key, content] of Object.entries(blobs)) {
      this.blobs.set(key, Buffer.from(content, 'base64'));
    }
    for (const { versions } of rows) {
      this.sequence = versions.reduce((last, { sequence }) => Math.max(last, sequence), this.sequence);
    }
  }
}
