import * as fc from 'fast-check';
import { MedplumOverloadError } from 'nestjs-medplum';
import { Cancelled } from '../../lib/http/deadline';
import { FairShares, type Turn, type WaitingTurn } from '../../lib/http/fair-shares';
import { quotaOf } from '../../lib/http/quota.options';
import { ServerQuota } from '../../lib/http/server-quota';

const MINUTE = 60_000;

function shares(options: Parameters<typeof quotaOf>[0], quota = new ServerQuota()): FairShares {
  return new FairShares(quotaOf(options), quota);
}

const turn = (share: string, cost = 1): Turn => ({ share, cost });

/** Lets requests enter, and notes the order in which they may be sent. */
class Queue {
  readonly sent: string[] = [];
  constructor(readonly all: FairShares) {}

  enter(share: string, name: string, { cost = 1, again = false, timeLeft = MINUTE } = {}): WaitingTurn | undefined {
    const waiting = this.all.enter(turn(share, cost), timeLeft, again);
    if (waiting) {
      waiting.granted.then(
        () => this.sent.push(name),
        () => undefined,
      );
    } else {
      this.sent.push(name);
    }
    return waiting;
  }

  async leave(share: string, cost = 1): Promise<void> {
    this.all.leave(turn(share, cost), 10);
    await Promise.resolve();
  }
}

const said = (quota: ServerQuota, left: number, seconds: number): void =>
  quota.note('fhir/R4/Patient/1', `"requests";r=50000;t=${seconds}, "fhirInteractions";r=${left};t=${seconds}`);

describe('The queue', () => {
  it('sends at once while there is room', () => {
    const queue = new Queue(shares({ maxConcurrent: 2, maxConcurrentPerIdentity: 2 }));
    expect(queue.enter('a', 'a1')).toBeUndefined();
    expect(queue.enter('a', 'a2')).toBeUndefined();
    expect([queue.all.running, queue.all.queued]).toEqual([2, 0]);
  });

  it('keeps the order of one identity', async () => {
    const queue = new Queue(shares({ maxConcurrent: 1 }));
    ['1', '2', '3'].forEach((name) => queue.enter('a', name));
    await queue.leave('a');
    await queue.leave('a');
    expect(queue.sent).toEqual(['1', '2', '3']);
  });

  it('lets identities take turns', async () => {
    const queue = new Queue(shares({ maxConcurrent: 1 }));
    ['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1'].forEach((name) => queue.enter(name.charAt(0), name));
    for (let last = 0; last < 6; last++) {
      await queue.leave(queue.sent[last]?.charAt(0) ?? '');
    }
    expect(queue.sent).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4']);
  });

  it('never runs more of one identity than allowed, though there is room', async () => {
    const queue = new Queue(shares({ maxConcurrent: 4, maxConcurrentPerIdentity: 2 }));
    ['a1', 'a2', 'a3', 'b1'].forEach((name) => queue.enter(name.charAt(0), name));
    expect(queue.sent).toEqual(['a1', 'a2', 'b1']);
    await queue.leave('b');
    expect(queue.sent).toEqual(['a1', 'a2', 'b1']);
    await queue.leave('a');
    expect(queue.sent).toEqual(['a1', 'a2', 'b1', 'a3']);
  });

  it('sends a retry before what came after its call, and never refuses one', async () => {
    const queue = new Queue(shares({ maxConcurrent: 1, maxQueued: 1, maxQueuedPerIdentity: 1 }));
    queue.enter('a', '1');
    queue.enter('a', '2');
    expect(queue.enter('a', 'again', { again: true })).toBeDefined();
    await queue.leave('a');
    expect(queue.sent).toEqual(['1', 'again']);
  });

  it('refuses what does not fit, with an estimate of when it will', () => {
    const queue = new Queue(shares({ maxConcurrent: 1, maxQueued: 3, maxQueuedPerIdentity: 2 }));
    queue.enter('a', '1');
    queue.all.leave(turn('a'), 2_000);
    ['1', '2', '3'].forEach((name) => queue.enter('a', name));
    const refusal = (share: string): unknown => {
      try {
        return queue.enter(share, 'x');
      } catch (error) {
        return error;
      }
    };
    const ofIdentity = refusal('a');
    expect(ofIdentity).toBeInstanceOf(MedplumOverloadError);
    expect(ofIdentity).toMatchObject({
      code: 'MEDPLUM_OVERLOADED',
      message: expect.stringContaining('quota.maxQueuedPerIdentity') as string,
      effect: 'none',
      retryable: true,
      retryAfter: 4_000,
    });
    queue.enter('b', '4');
    expect(refusal('c')).toMatchObject({
      message: expect.stringContaining('quota.maxQueued)') as string,
      retryAfter: 6_000,
    });
  });

  it('takes a request out that is given up, and lets the next one go in its place', async () => {
    const queue = new Queue(shares({ maxConcurrent: 1 }));
    queue.enter('a', '1');
    const waiting = queue.enter('a', '2');
    queue.enter('a', '3');
    const reason = new Cancelled('abort');
    waiting?.cancel(reason);
    await expect(waiting?.granted).rejects.toBe(reason);
    await queue.leave('a');
    expect(queue.sent).toEqual(['1', '3']);
    expect(queue.all.queued).toBe(0);
  });
});

/** What may happen next: somebody calls, a request ends, a waiting one is given up. */
const STEPS = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('enter' as const), who: fc.integer({ min: 0, max: 5 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('leave' as const), who: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), who: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('retry' as const), who: fc.integer({ min: 0, max: 5 }) }) },
  ),
  { maxLength: 120 },
);

/** Watches the queue from outside: who runs, who waits, and who was passed by. */
class Watched {
  readonly running: string[] = [];
  readonly waiting = new Map<WaitingTurn, string>();
  readonly problems: string[] = [];
  /** For each identity that could use a turn: who had one since it last had one itself. */
  readonly #passedBy = new Map<string, Set<string>>();

  constructor(
    readonly all: FairShares,
    readonly max: number,
    readonly each: number,
  ) {}

  enter(who: string, again: boolean): void {
    const given = this.all.enter(turn(who), MINUTE, again);
    if (!given) {
      this.#start(who);
      return;
    }
    this.waiting.set(given, who);
    given.granted.then(
      () => {
        this.waiting.delete(given);
        return this.#start(who);
      },
      () => this.waiting.delete(given),
    );
  }

  async settled(): Promise<void> {
    await new Promise(setImmediate);
    if (this.all.running !== this.running.length || this.all.queued !== this.waiting.size) {
      this.problems.push('a place or a call is lost');
    }
    const waiting = new Set(this.waiting.values());
    for (const who of ['0', '1', '2', '3', '4', '5']) {
      if (!waiting.has(who) || this.#runs(who) >= this.each) {
        this.#passedBy.delete(who);
      } else if (!this.#passedBy.has(who)) {
        this.#passedBy.set(who, new Set());
      }
    }
    // Nobody waits while there is room.
    if (this.#passedBy.size > 0 && this.running.length < this.max) {
      this.problems.push('somebody waits though there is room');
    }
  }

  #runs(who: string): number {
    return this.running.filter((one) => one === who).length;
  }

  #start(who: string): void {
    this.running.push(who);
    if (this.running.length > this.max || this.#runs(who) > this.each) {
      this.problems.push('too many run');
    }
    this.#passedBy.delete(who);
    for (const others of this.#passedBy.values()) {
      if (others.has(who)) {
        this.problems.push('somebody waited for more than one turn of another');
      }
      others.add(who);
    }
  }
}

it('loses no place and starves nobody, whatever happens', async () => {
  const limit = fc.integer({ min: 1, max: 4 });
  await fc.assert(
    fc.asyncProperty(STEPS, limit, limit, async (steps, max, each) => {
      const watched = new Watched(shares({ maxConcurrent: max, maxConcurrentPerIdentity: each }), max, each);
      const { all, running, waiting } = watched;
      for (const step of steps) {
        if (step.do === 'enter' || step.do === 'retry') {
          watched.enter(`${step.who}`, step.do === 'retry');
        } else if (step.do === 'leave' && running.length > 0) {
          const [who = ''] = running.splice(step.who % running.length, 1);
          all.leave(turn(who), 1);
        } else if (step.do === 'cancel' && waiting.size > 0) {
          [...waiting.keys()][step.who % waiting.size]?.cancel(new Cancelled('abort'));
        }
        await watched.settled();
      }
      while (running.length > 0) {
        all.leave(turn(running.shift() ?? ''), 1);
        await watched.settled();
      }
      expect(watched.problems).toEqual([]);
      expect([all.running, all.queued, waiting.size]).toEqual([0, 0, 0]);
    }),
    { numRuns: 200 },
  );
});

describe('The quota of the server', () => {
  beforeEach(() => jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }));
  afterEach(() => jest.useRealTimers());

  it('does not slow anything down while there is plenty', () => {
    const quota = new ServerQuota();
    const queue = new Queue(shares({ maxConcurrent: 100, maxConcurrentPerIdentity: 100 }, quota));
    said(quota, 1_000, 60);
    for (let i = 0; i < 50; i++) {
      queue.enter('a', `${i}`);
      queue.all.leave(turn('a'));
    }
    expect(queue.sent).toHaveLength(50);
  });

  it('spreads what is left over the rest of the window, and lets identities take turns', async () => {
    const quota = new ServerQuota();
    const queue = new Queue(shares({ maxConcurrent: 100, maxConcurrentPerIdentity: 100 }, quota));
    said(quota, 1_000, 60);
    queue.enter('a', 'first');
    await queue.leave('a');
    said(quota, 60, 60);
    ['a1', 'a2', 'a3', 'a4', 'b1'].forEach((name) => queue.enter(name.charAt(0), name));
    expect(queue.sent).toEqual(['first', 'a1']);
    await jest.advanceTimersByTimeAsync(1_100);
    expect(queue.sent).toEqual(['first', 'a1', 'a2']);
    await jest.advanceTimersByTimeAsync(1_100);
    expect(queue.sent).toEqual(['first', 'a1', 'a2', 'b1']);
    await jest.advanceTimersByTimeAsync(58_000);
    expect(queue.sent).toEqual(['first', 'a1', 'a2', 'b1', 'a3', 'a4']);
  });

  it('waits for the reset when nothing is left', async () => {
    const quota = new ServerQuota();
    const queue = new Queue(shares({ maxConcurrent: 4 }, quota));
    said(quota, 0, 10);
    queue.enter('a', '1');
    await jest.advanceTimersByTimeAsync(9_900);
    expect(queue.sent).toEqual([]);
    await jest.advanceTimersByTimeAsync(200);
    expect(queue.sent).toEqual(['1']);
  });

  it('refuses a call at once that would be given up before the reset', () => {
    const quota = new ServerQuota();
    const queue = new Queue(shares({ maxConcurrent: 4 }, quota));
    said(quota, 50, 40);
    expect(() => queue.enter('a', 'write', { cost: 100, timeLeft: 30_000 })).toThrow(
      expect.objectContaining({ code: 'MEDPLUM_OVERLOADED', retryAfter: 40_000 }) as Error,
    );
    expect(queue.enter('a', 'a retry', { cost: 100, timeLeft: 30_000, again: true })).toBeDefined();
    expect(queue.all.queued).toBe(1);
  });

  it('counts what is under way, so that a burst does not run into the limit', async () => {
    const quota = new ServerQuota();
    const queue = new Queue(shares({ maxConcurrent: 100, maxConcurrentPerIdentity: 100 }, quota));
    said(quota, 250, 60);
    ['1', '2', '3'].forEach((name) => queue.enter('a', name, { cost: 100 }));
    expect(queue.sent).toEqual(['1', '2']);
    said(quota, 50, 59);
    await queue.leave('a', 100);
    expect(queue.sent).toEqual(['1', '2']);
  });

  it('does not listen to the server with pace: false', () => {
    const quota = new ServerQuota();
    const queue = new Queue(shares({ pace: false }, quota));
    said(quota, 0, 60);
    expect(queue.enter('a', '1')).toBeUndefined();
  });

  it('knows the window: less is right within one, anything after it', async () => {
    const quota = new ServerQuota();
    said(quota, 100, 60);
    expect(quota.limits.map(({ name, remaining }) => [name, remaining])).toEqual([
      ['requests', 50_000],
      ['fhirInteractions', 100],
    ]);
    said(quota, 120, 60);
    expect(quota.limits[1]).toMatchObject({ remaining: 100, most: 120 });
    await jest.advanceTimersByTimeAsync(61_000);
    expect(quota.limits).toEqual([]);
    said(quota, 500, 60);
    expect(quota.limits[1]).toMatchObject({ remaining: 500 });
  });

  it.each(['auth/me', 'oauth2/token', 'projects/1/oauth2/token', 'api/auth/login'])(
    'leaves out %s, which has a limiter of its own under the same name',
    (path) => {
      const quota = new ServerQuota();
      quota.note(path, '"requests";r=159;t=60');
      expect(quota.limits).toEqual([]);
    },
  );
});
