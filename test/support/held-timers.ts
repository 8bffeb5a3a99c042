import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/**
 * Calls `work` while no `setTimeout` fires, so that a slow machine cannot end a call before it has come as far as the test
 * wants. `pass` lets time go by.
 */
export async function withHeldTimers<T>(work: (pass: (ms: number) => void) => Promise<T>): Promise<T> {
  jest.useFakeTimers({
    doNotFake: ['Date', 'hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'clearImmediate'],
  });
  try {
    return await work((ms) => jest.advanceTimersByTime(ms));
  } finally {
    jest.useRealTimers();
  }
}

/** Resolves when undici has got the status line of so many responses from now on. */
export function statusLines(count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    const note = (): void => {
      left--;
      if (left === 0) {
        unsubscribe('undici:request:headers', note);
        resolve();
      }
    };
    subscribe('undici:request:headers', note);
  });
}
