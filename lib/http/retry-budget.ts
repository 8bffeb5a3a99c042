/** What each call adds. */
const PER_CALL = 0.2;
/** How long an empty budget takes to fill up without any call, in s. */
const REFILL = 10;

/**
 * The repetitions that all calls of a client may make together. Each call pays in a fifth of one, and time fills the
 * rest: when a server is down, its load rises by a fifth and not to the `maxRetries`-fold.
 */
export class RetryBudget {
  readonly #size: number;
  #left: number;
  #at = performance.now();

  /** @param size repetitions that may be made in a row, beyond what calls pay in. */
  constructor(size: number) {
    this.#size = size;
    this.#left = size;
  }

  /** Counts a call. */
  called(): void {
    this.#left = Math.min(this.#size, this.#left + PER_CALL);
  }

  /** Takes one repetition out, if there is one. */
  take(): boolean {
    const now = performance.now();
    this.#left = Math.min(this.#size, this.#left + ((now - this.#at) / 1000) * (this.#size / REFILL));
    this.#at = now;
    if (this.#left < 1) {
      return false;
    }
    this.#left--;
    return true;
  }
}
