/** Work that ends when it is told that the app shuts down. */
export interface RunningCall {
  shutDown(): void;
}

/** The calls of a client that have not ended, so that they can be ended when the app shuts down. */
export class RunningCalls {
  readonly #calls = new Set<RunningCall>();
  #isEnded = false;

  add(call: RunningCall): void {
    this.#calls.add(call);
    // A poll or a page may be about to begin when the others have ended.
    if (this.#isEnded) {
      call.shutDown();
    }
  }

  delete(call: RunningCall): void {
    this.#calls.delete(call);
  }

  /** Ends all of them, and every one that begins later. */
  end(): void {
    this.#isEnded = true;
    this.#calls.forEach((call) => call.shutDown());
  }
}
