interface Count {
  readonly endsAt: number;
  attempts: number;
}

/** How many attempts a key may make in which time. */
export interface AttemptLimit {
  readonly attempts: number;
  /** In ms, from the first attempt. */
  readonly window: number;
  /** How many keys the counter keeps. When there are more, it forgets those whose time is over first. */
  readonly keys: number;
}

/** Counts attempts by key, in bounded memory. */
export class AttemptCounter {
  /** All windows are equally long, so the first entry is always the one that ends first. */
  readonly #counts = new Map<string, Count>();

  constructor(private readonly limit: AttemptLimit) {}

  get size(): number {
    return this.#counts.size;
  }

  /** How long this key has to wait before its next attempt, in ms; 0 if it need not wait. */
  wait(key: string): number {
    this.#forgetThePast();
    const count = this.#counts.get(key);
    return count && count.attempts >= this.limit.attempts ? count.endsAt - Date.now() : 0;
  }

  add(key: string): void {
    this.#forgetThePast();
    const count = this.#counts.get(key);
    if (count) {
      count.attempts += 1;
      return;
    }
    const [first] = this.#counts.keys();
    if (first !== undefined && this.#counts.size >= this.limit.keys) {
      this.#counts.delete(first);
    }
    this.#counts.set(key, { attempts: 1, endsAt: Date.now() + this.limit.window });
  }

  /** Takes one attempt back. */
  takeBack(key: string): void {
    const count = this.#counts.get(key);
    if (count && count.attempts > 0) {
      count.attempts -= 1;
    }
  }

  forget(key: string): void {
    this.#counts.delete(key);
  }

  #forgetThePast(): void {
    const now = Date.now();
    for (const [key, { endsAt }] of this.#counts) {
      if (endsAt > now) {
        return;
      }
      this.#counts.delete(key);
    }
  }
}
