import type { MedplumStore } from './medplum-store';

interface Entry {
  readonly value: string;
  /** On the clock of `performance.now()`, which does not jump. */
  readonly expires: number;
}

/** How many entries are written between two searches for expired ones. */
const SWEEP_EVERY = 1_000;

/**
 * A store in the memory of this process. It forgets a key only when the key expires: a full store that dropped older keys
 * would let an attacker use a delegation twice.
 */
export class MemoryStore implements MedplumStore {
  readonly #entries = new Map<string, Entry>();
  #writes = 0;

  /** @inheritDoc */
  add(key: string, value: string, milliseconds: number): Promise<boolean> {
    const isNew = this.#live(key) === undefined;
    if (isNew) {
      this.#write(key, value, milliseconds);
    }
    return Promise.resolve(isNew);
  }

  /** @inheritDoc */
  get(key: string): Promise<string | undefined> {
    return Promise.resolve(this.#live(key));
  }

  /** @inheritDoc */
  set(key: string, value: string, milliseconds: number): Promise<void> {
    this.#write(key, value, milliseconds);
    return Promise.resolve();
  }

  /** @inheritDoc */
  delete(key: string): Promise<void> {
    this.#entries.delete(key);
    return Promise.resolve();
  }

  #live(key: string): string | undefined {
    const entry = this.#entries.get(key);
    return entry && entry.expires > performance.now() ? entry.value : undefined;
  }

  #write(key: string, value: string, milliseconds: number): void {
    const now = performance.now();
    if (++this.#writes % SWEEP_EVERY === 0) {
      for (const [old, { expires }] of this.#entries) {
        if (expires <= now) {
          this.#entries.delete(old);
        }
      }
    }
    this.#entries.set(key, { value, expires: now + milliseconds });
  }
}
