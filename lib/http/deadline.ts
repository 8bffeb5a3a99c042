import { EventEmitter, getMaxListeners, setMaxListeners } from 'node:events';

/** Why a call was cancelled. `disconnect`: the client of the inbound request hung up. */
export type CancelReason = 'timeout' | 'abort' | 'disconnect' | 'shutdown';

/** How many calls may listen to one signal before Node warns of a leak. */
const CALLS_PER_SIGNAL = 1_000;

/** Ends a wait of a cancelled call. Callers get a `MedplumError` instead. */
export class Cancelled {
  constructor(readonly reason: CancelReason) {}
}

/** Work that ends itself when the call is cancelled. */
export interface DeadlineWatcher {
  cancel(reason: Cancelled): void;
}

/**
 * The time limit and the abort of a whole call: its attempts, its waits, and reading the response.
 *
 * undici accepts an emitter as a signal. An `AbortController` per call would cost more than all other bookkeeping.
 */
export class Deadline extends EventEmitter {
  /** undici reads it, and does not send a request that it gets afterwards. */
  aborted = false;
  /** undici rejects with it. Without it, undici creates an error of its own. */
  reason: Cancelled | undefined;

  readonly #endsAt: number;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;
  readonly #disconnect: AbortSignal | undefined;
  readonly #running: RunningCalls | undefined;
  readonly #onAbort = (): void => this.#cancel('abort');
  readonly #onDisconnect = (): void => this.#cancel('disconnect');
  #reject: ((reason: Cancelled) => void) | undefined;
  #watcher: DeadlineWatcher | undefined;

  /**
   * @param timeout in ms.
   * @param disconnect aborts when the client of the inbound request hangs up.
   * @param running holds the deadline until `dispose()`.
   */
  constructor(timeout: number, signal: AbortSignal | undefined, disconnect?: AbortSignal, running?: RunningCalls) {
    super();
    this.#endsAt = performance.now() + timeout;
    this.#timer = setTimeout(() => this.#cancel('timeout'), timeout);
    this.#signal = signal;
    this.#disconnect = disconnect;
    if (signal) {
      listen(signal, this.#onAbort);
    }
    if (disconnect) {
      listen(disconnect, this.#onDisconnect);
    }
    this.#running = running;
    running?.add(this);
  }

  /** Time left, in ms. */
  get remaining(): number {
    return this.#endsAt - performance.now();
  }

  /**
   * Settles as `work` does, or rejects with {@link Cancelled} as soon as the call is cancelled. undici notices an abort
   * only once the request has a connection, so its own promise may stay pending while the pool is exhausted.
   */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.reason) {
        work.catch(() => undefined);
        reject(this.reason);
        return;
      }
      this.#reject = reject;
      work.then(resolve, reject);
    });
  }

  /** Tells `work` when the call is cancelled. For work without a promise, this is cheaper than {@link Deadline.race}. */
  watch(work: DeadlineWatcher): void {
    this.#watcher = work;
  }

  /** Ends {@link Deadline.watch}. */
  unwatch(): void {
    this.#watcher = undefined;
  }

  /** Waits `delay` ms. Resolves to `false` when the app shuts down; rejects when the call is cancelled otherwise. */
  async sleep(delay: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await this.race(new Promise<void>((resolve) => (timer = setTimeout(resolve, delay))));
      return true;
    } catch (cause) {
      if (this.reason?.reason === 'shutdown') {
        return false;
      }
      throw cause;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Cancels the call because the app shuts down. */
  shutDown(): void {
    this.#cancel('shutdown');
  }

  /** Cancels work that nobody waits for any more. */
  abandon(): void {
    this.#cancel('abort');
  }

  /** Releases the timer and the caller's signal. */
  dispose(): void {
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#disconnect?.removeEventListener('abort', this.#onDisconnect);
    this.#running?.delete(this);
    this.#reject = undefined;
  }

  #cancel(reason: CancelReason): void {
    if (this.aborted) {
      return;
    }
    this.aborted = true;
    this.reason = new Cancelled(reason);
    this.#reject?.(this.reason);
    this.#watcher?.cancel(this.reason);
    this.emit('abort');
  }
}

/** The calls of a client that have not ended yet, so that shutdown can end them. */
export class RunningCalls {
  readonly #deadlines = new Set<Deadline>();
  #isEnded = false;

  /** How many there are. */
  get size(): number {
    return this.#deadlines.size;
  }

  add(deadline: Deadline): void {
    this.#deadlines.add(deadline);
    // A poll or the next page may begin after `end()`.
    if (this.#isEnded) {
      deadline.shutDown();
    }
  }

  delete(deadline: Deadline): void {
    this.#deadlines.delete(deadline);
  }

  /** Ends all running calls, and every call that begins later. */
  end(): void {
    this.#isEnded = true;
    this.#deadlines.forEach((deadline) => deadline.shutDown());
  }
}

function listen(signal: AbortSignal, onAbort: () => void): void {
  if (signal.aborted) {
    onAbort();
    return;
  }
  // All calls of an inbound request share its signal, and each call releases it, so more than 10 listeners are no leak.
  const most = mostListeners(signal);
  if (most > 0 && most < CALLS_PER_SIGNAL) {
    setMaxListeners(CALLS_PER_SIGNAL, signal);
  }
  signal.addEventListener('abort', onAbort, { once: true });
}

/** How many listeners a signal may have before Node warns; 0: any number. */
function mostListeners(signal: AbortSignal): number {
  try {
    return getMaxListeners(signal);
  } catch {
    // Node 20 throws when there is no limit.
    return 0;
  }
}
