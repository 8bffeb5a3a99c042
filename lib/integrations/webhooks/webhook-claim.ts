import { createHash } from 'node:crypto';
import type { MedplumStore } from '../../shared/medplum-store';

/**
 * How long a claim lasts unless it is renewed, in ms. Medplum repeats a delivery that failed 1, 3, 7 and 15 seconds
 * later. So if this process dies in the middle of a handler, the claim has ended before the last repetition.
 */
const LEASE = 10_000;

const RUNNING = 'running';
const DONE = 'done';

/** A key of the store: a hash, so the store learns no ids. */
export function claimKey(...parts: readonly (string | undefined)[]): string {
  return `medplum-webhook:${createHash('sha256').update(JSON.stringify(parts)).digest('base64url')}`;
}

/** The right to handle one delivery, which one process has at a time. Each method throws what the store throws. */
export class WebhookClaim {
  readonly #store: MedplumStore;
  readonly #key: string;
  readonly #timer: NodeJS.Timeout;
  #renewal: Promise<void> = Promise.resolve();

  private constructor(store: MedplumStore, key: string) {
    this.#store = store;
    this.#key = key;
    // If a renewal fails, the claim ends early, and the delivery may be handled twice.
    this.#timer = setInterval(() => {
      this.#renewal = this.#renewal.then(() => store.set(key, RUNNING, LEASE)).catch(() => undefined);
    }, LEASE / 3).unref();
  }

  /** A claim, or why there is none: the delivery was handled (`done`), or is being handled (`running`). */
  static async take(store: MedplumStore, key: string): Promise<WebhookClaim | 'running' | 'done'> {
    if (await store.add(key, RUNNING, LEASE)) {
      return new WebhookClaim(store, key);
    }
    return (await store.get(key)) === DONE ? 'done' : 'running';
  }

  /** The delivery was handled: drops it for this time, in ms, when it comes again. */
  async finish(milliseconds: number): Promise<void> {
    await this.#stop();
    await this.#store.set(this.#key, DONE, milliseconds);
  }

  /** The delivery was not handled: lets it come again. */
  async release(): Promise<void> {
    await this.#stop();
    await this.#store.delete(this.#key);
  }

  /** Waits for a renewal under way, which would undo what comes next. */
  #stop(): Promise<void> {
    clearInterval(this.#timer);
    return this.#renewal;
  }
}
