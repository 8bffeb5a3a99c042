/** The options of `MedplumClient` that make it safe to share; see `coreClientOptions()`. */
export interface CoreClientOptions {
  /** Address of the server. */
  readonly baseUrl: string;
  /** `fetch` of the service. */
  readonly fetch: (input: string, init?: object) => Promise<Response>;
  /** No cache, because its key is the URL and not the user. */
  readonly cacheTime: 0;
  /** No automatic batches, because they mix callers. */
  readonly autoBatchTime: 0;
  /** No retries of its own. The library retries what is safe. */
  readonly maxRetryTime: 0;
  /** Storage inside the client. */
  readonly storage: MemoryStorage;
}

/** Storage of one client, in memory. `localStorage`, where Node has it, is shared by all clients of the process. */
export class MemoryStorage {
  readonly #values = new Map<string, string>();

  /** Forgets everything. */
  clear(): void {
    this.#values.clear();
  }

  /** Returns the text that is stored under `key`. */
  getString(key: string): string | undefined {
    return this.#values.get(key);
  }

  /** Stores text; `undefined` removes it. */
  setString(key: string, value: string | undefined): void {
    if (value === undefined || value === '') {
      this.#values.delete(key);
    } else {
      this.#values.set(key, value);
    }
  }

  /** Returns the value that is stored under `key`. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the interface of @medplum/core
  getObject<T>(key: string): T | undefined {
    const value = this.getString(key);
    return value === undefined ? undefined : (JSON.parse(value) as T);
  }

  /** Stores a value as JSON; `undefined` removes it. */
  setObject(key: string, value: unknown): void {
    this.setString(key, value === undefined ? undefined : JSON.stringify(value));
  }

  /** Returns the key unchanged, because nothing else is stored here. */
  makeKey(key: string): string {
    return key;
  }
}
