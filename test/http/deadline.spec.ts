import { getEventListeners } from 'node:events';
import { Cancelled, Deadline } from '../../lib/http/deadline';
import { troubleIn } from '../support/trouble';

/** Longer than any test runs. */
const LONG = 600_000;
const never = new Promise<never>(() => undefined);
const open: Deadline[] = [];

function deadline(timeout: number, signal?: AbortSignal): Deadline {
  const made = new Deadline(timeout, signal);
  open.push(made);
  return made;
}

afterEach(() => {
  for (const made of open.splice(0)) {
    made.dispose();
  }
});

const reasonOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    (error: unknown) => (error instanceof Cancelled ? error.reason : error),
  );

describe('Deadline', () => {
  it('lets work through that ends in time, well or badly', async () => {
    const limit = deadline(LONG);
    await expect(limit.race(Promise.resolve('answer'))).resolves.toBe('answer');
    await expect(limit.race(Promise.reject(new Error('own')))).rejects.toThrow('own');
    await limit.sleep(1);
    expect(limit.aborted).toBe(false);
  });

  it('gives up work that never ends when time runs out, and tells undici', async () => {
    const limit = deadline(5);
    const told = jest.fn();
    limit.on('abort', told);
    await expect(reasonOf(limit.race(never))).resolves.toBe('timeout');
    expect(limit.aborted).toBe(true);
    expect(limit.reason).toBeInstanceOf(Cancelled);
    expect(told).toHaveBeenCalledTimes(1);
  });

  it('gives up work and waiting when the caller aborts', async () => {
    for (const wait of [(limit: Deadline) => limit.race(never), (limit: Deadline) => limit.sleep(LONG)]) {
      const controller = new AbortController();
      const limit = deadline(LONG, controller.signal);
      const result = reasonOf(wait(limit));
      controller.abort();
      await expect(result).resolves.toBe('abort');
      expect(limit.aborted).toBe(true);
    }
  });

  it('is over from the start when the caller had aborted before', async () => {
    const limit = deadline(LONG, AbortSignal.abort());
    expect(limit.aborted).toBe(true);
    await expect(reasonOf(limit.race(Promise.resolve('too late')))).resolves.toBe('abort');
    await expect(reasonOf(limit.sleep(LONG))).resolves.toBe('abort');
  });

  it('keeps the first reason', async () => {
    const controller = new AbortController();
    const limit = deadline(5, controller.signal);
    await reasonOf(limit.race(never));
    controller.abort();
    await expect(reasonOf(limit.race(never))).resolves.toBe('timeout');
  });

  it('leaves no rejection behind when the work that was given up fails later', async () => {
    const trouble = await troubleIn(async () => {
      const controller = new AbortController();
      const limit = deadline(LONG, controller.signal);
      let fail: ((error: Error) => void) | undefined;
      const result = reasonOf(limit.race(new Promise((_, reject) => (fail = reject))));
      controller.abort();
      await result;
      fail?.(new Error('late'));
      await reasonOf(limit.race(Promise.reject(new Error('later'))));
    });
    expect(trouble).toEqual([]);
  });

  it("leaves no listener on the caller's signal when it is done with", () => {
    const { signal } = new AbortController();
    const limit = deadline(LONG, signal);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    limit.dispose();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('never fires once it is done with', async () => {
    const controller = new AbortController();
    const limit = deadline(1, controller.signal);
    limit.dispose();
    controller.abort();
    // A timer that was made later and is longer: had the first one survived, it would have fired by now.
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(limit.aborted).toBe(false);
  });
});
