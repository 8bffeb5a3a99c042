import { getEventListeners, getMaxListeners, setMaxListeners } from 'node:events';
import { Cancelled, Deadline, RunningCalls } from '../../lib/http/deadline';
import { troubleIn } from '../support/trouble';

/** Longer than any test runs. */
const LONG = 600_000;
const never = new Promise<never>(() => undefined);
const open: Deadline[] = [];

function deadline(timeout: number, signal?: AbortSignal, disconnect?: AbortSignal, running?: RunningCalls): Deadline {
  const made = new Deadline(timeout, signal, disconnect, running);
  open.push(made);
  return made;
}

afterEach(() => {
  for (const made of open.splice(0)) {
    made.dispose();
  }
});

/** The limit of a signal's listeners; 0: none. Node 20 throws when there is none. */
function mostListeners(signal: AbortSignal): number {
  try {
    return getMaxListeners(signal);
  } catch {
    return 0;
  }
}

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

  it('gives up when the client of the inbound request hangs up, also if it had done so before', async () => {
    const client = new AbortController();
    const limit = deadline(LONG, undefined, client.signal);
    const result = reasonOf(limit.race(never));
    client.abort();
    await expect(result).resolves.toBe('disconnect');
    await expect(reasonOf(deadline(LONG, undefined, client.signal).race(never))).resolves.toBe('disconnect');
  });

  it('ends with the app: work is given up, and waits are over at once', async () => {
    const running = new RunningCalls();
    const working = deadline(LONG, undefined, undefined, running);
    const waiting = deadline(LONG, undefined, undefined, running);
    const done = deadline(LONG, undefined, undefined, running);
    done.dispose();
    const work = reasonOf(working.race(never));
    const wait = waiting.sleep(LONG);
    running.end();
    await expect(work).resolves.toBe('shutdown');
    await expect(wait).resolves.toBe(false);
    expect(done.aborted).toBe(false);
    // A call that begins now ends as well.
    await expect(reasonOf(deadline(LONG, undefined, undefined, running).race(never))).resolves.toBe('shutdown');
  });

  it('tells one watcher once, and none that has left', async () => {
    const limit = deadline(5);
    const watcher = { cancel: jest.fn() };
    limit.watch(watcher);
    const left = deadline(5);
    const gone = { cancel: jest.fn() };
    left.watch(gone);
    left.unwatch();
    await Promise.all([reasonOf(limit.race(never)), reasonOf(left.race(never))]);
    expect(watcher.cancel.mock.calls).toEqual([[limit.reason]]);
    expect(gone.cancel).not.toHaveBeenCalled();
  });

  it('tells how much time is left', () => {
    const limit = deadline(LONG);
    expect(limit.remaining).toBeLessThanOrEqual(LONG);
    expect(limit.remaining).toBeGreaterThan(LONG - 60_000);
  });

  it.each([
    ['of 10 becomes higher', 10, 1_000],
    ['that is higher already stays', 5_000, 5_000],
    ['that was switched off stays off', 0, 0],
  ])('lets many calls share a signal without a warning: a limit of its listeners %s', async (_what, given, limit) => {
    const trouble = await troubleIn(async () => {
      const { signal } = new AbortController();
      setMaxListeners(given, signal);
      for (let call = 0; call < 20; call++) {
        deadline(LONG, signal);
        deadline(LONG, undefined, signal);
      }
      expect(mostListeners(signal)).toBe(limit);
      await Promise.resolve();
    });
    expect(trouble).toEqual([]);
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
    const [{ signal }, { signal: disconnect }] = [new AbortController(), new AbortController()];
    const limit = deadline(LONG, signal, disconnect);
    const listeners = () => [signal, disconnect].map((one) => getEventListeners(one, 'abort').length);
    expect(listeners()).toEqual([1, 1]);
    limit.dispose();
    expect(listeners()).toEqual([0, 0]);
  });

  it('leaves no timer behind, neither its own nor that of a wait', async () => {
    jest.useFakeTimers();
    try {
      const controller = new AbortController();
      const limit = new Deadline(LONG, controller.signal);
      const wait = reasonOf(limit.sleep(LONG));
      controller.abort();
      await wait;
      limit.dispose();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
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
