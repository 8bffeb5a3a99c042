/**
 * A small store of keys that expire, which the instances of an app share: which delegation and which webhook has been
 * seen. All methods work on one key, and each is atomic. An app that runs as one process needs no other than
 * {@link MemoryStore}, the default.
 */
export interface MedplumStore {
  /**
   * Sets `key` for `milliseconds`, unless it is set already.
   *
   * @returns whether this call has set it. Of several calls at the same time, in whichever process, one gets `true`.
   */
  add(key: string, value: string, milliseconds: number): Promise<boolean>;
  /** The value of `key`, or `undefined` if it is not set or has expired. */
  get(key: string): Promise<string | undefined>;
  /** Sets `key` for `milliseconds`, whether or not it is set. */
  set(key: string, value: string, milliseconds: number): Promise<void>;
  /** Removes `key`, if it is set. */
  delete(key: string): Promise<void>;
}
