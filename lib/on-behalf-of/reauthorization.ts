import { AsyncResource } from 'node:async_hooks';
import { Logger } from '@nestjs/common';
import { OnBehalfOfRequiredError } from '../errors/on-behalf-of.errors';
import { shownError } from '../errors/shown';

/** Resolves with whether the identity is still the same. Rejects when nobody is found, or when it cannot be known. */
export type Confirm = () => Promise<boolean>;

/**
 * Asks again and again for the identity of something that goes on for long, and ends it as soon as the identity is not
 * confirmed. An answer that does not come before the next question is none.
 */
export class Reauthorization {
  readonly #logger = new Logger('OnBehalfOf');
  readonly #what: string;
  readonly #every: number;
  readonly #confirm: Confirm;
  // Made outside the scopes: the source must not see the identity that it decides about.
  readonly #outside = new AsyncResource('Reauthorization');
  readonly #ends = new Set<(error: Error) => void>();
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;

  /**
   * @param what names the handler in the log.
   * @param every in ms.
   */
  constructor(what: string, every: number, confirm: Confirm) {
    this.#what = what;
    this.#every = every;
    this.#confirm = confirm;
  }

  start(): void {
    this.#timer ??= this.#outside.runInAsyncScope(() => setInterval(() => void this.#ask(), this.#every).unref());
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Calls `end` when the identity is not confirmed. Returns the function that takes `end` off again. */
  onRefusal(end: (error: Error) => void): () => void {
    this.#ends.add(end);
    return () => this.#ends.delete(end);
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) {
      this.#refuse('its source has not answered since it was asked last');
      return;
    }
    this.#isAsking = true;
    try {
      if (!(await this.#confirm())) {
        this.#refuse('its source returned another identity');
      }
    } catch (error) {
      this.#refuse(`asking failed with ${shownError(error).name}`);
    } finally {
      this.#isAsking = false;
    }
  }

  #refuse(why: string): void {
    if (this.#timer === undefined) {
      return;
    }
    this.stop();
    this.#logger.warn(
      `${this.#what} went on for long, so @OnBehalfOf() asked for its identity again (reauthorizeEvery). It was ended, because ${why}.`,
    );
    const error = new OnBehalfOfRequiredError(
      'The stream has ended, because its identity was asked for again and not confirmed. Open it again.',
    );
    [...this.#ends].forEach((end) => end(error));
  }
}

/** An iterator that rejects, also while somebody waits for its next value, once its identity is not confirmed. */
export function untilRefused(
  source: AsyncIterable<unknown>,
  reauthorization: Reauthorization,
): AsyncIterableIterator<unknown> {
  const iterator = source[Symbol.asyncIterator]();
  const waiting = new Set<(error: Error) => void>();
  let refusal: Error | undefined;
  const forget = reauthorization.onRefusal((error) => {
    refusal = error;
    waiting.forEach((reject) => reject(error));
    void finish(iterator);
  });
  const settled = (result: IteratorResult<unknown>): IteratorResult<unknown> => {
    if (result.done === true) {
      forget();
    }
    return result;
  };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next() {
      return new Promise((resolve, reject) => {
        if (refusal) {
          forget();
          reject(refusal);
          return;
        }
        waiting.add(reject);
        void iterator
          .next()
          .then((result) => resolve(settled(result)), reject)
          .finally(() => waiting.delete(reject));
      });
    },
    async return(value?: unknown) {
      forget();
      return (await iterator.return?.(value)) ?? { done: true, value };
    },
    async throw(error?: unknown) {
      forget();
      if (!iterator.throw) {
        throw error;
      }
      return iterator.throw(error);
    },
  };
}

/** Nobody is left to hear how that goes. */
async function finish(iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // The refusal has been told already.
  }
}

/** A WebSocket of the package ws, or of socket.io. */
interface Connection {
  once?(event: string, listener: () => void): unknown;
  /** ws: 2 and 3 when it is closing or closed. */
  readonly readyState?: number;
  /** socket.io. */
  readonly disconnected?: boolean;
  /** ws. */
  close?(code: number, reason: string): unknown;
  /** socket.io. */
  disconnect?(close: boolean): unknown;
}

/** The code of RFC 6455 for a connection that breaks the rules of the server. */
const POLICY_VIOLATION = 1008;

/** Closes a WebSocket when its identity is not confirmed, and stops asking when the WebSocket is closed. */
export function closeOnRefusal(connection: Connection, reauthorization: Reauthorization): void {
  if (connection.disconnected === true || (connection.readyState ?? 0) > 1) {
    return;
  }
  const isSocketIo = typeof connection.disconnect === 'function';
  connection.once?.(isSocketIo ? 'disconnect' : 'close', () => reauthorization.stop());
  reauthorization.onRefusal(() => {
    if (isSocketIo) {
      connection.disconnect?.(true);
    } else {
      connection.close?.(POLICY_VIOLATION, 'identity not confirmed');
    }
  });
  reauthorization.start();
}
