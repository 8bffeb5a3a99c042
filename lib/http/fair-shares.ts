import { MedplumOverloadError } from '../errors/overload.error';
import type { Cancelled, DeadlineWatcher } from './deadline';
import type { MedplumQuotaOptions } from './quota.options';
import { QuotaPace } from './quota-pace';
import type { ServerQuota } from './server-quota';

/** Whose share of the quota a request uses, and how much of it. */
export interface Turn {
  /** An identity; empty for the client itself. */
  readonly share: string;
  /** In FHIR points of the server. */
  readonly cost: number;
}

/** Shorter waits are not worth telling: `Retry-After` counts in seconds. In ms. */
const SHORTEST_RETRY = 1_000;

/** How fast the estimate of a request's duration follows the newest one. */
const NEWEST = 0.1;

/** The most that a timer can wait, in ms. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** The requests of one identity. */
class Share {
  running = 0;
  /** In the order in which they came. A retry came before all that wait. */
  readonly waiting = new Set<WaitingTurn>();
  readonly retries = new Set<WaitingTurn>();

  constructor(readonly key: string) {}

  get first(): WaitingTurn | undefined {
    return first(this.retries) ?? first(this.waiting);
  }
}

/** A request that waits for its turn. */
export class WaitingTurn implements DeadlineWatcher {
  /** Resolves when the request may be sent; rejects with {@link Cancelled} when its call is given up. */
  readonly granted: Promise<void>;
  #resolve: (() => void) | undefined;
  #reject: ((reason: Cancelled) => void) | undefined;

  /** @param leave takes the request out of the queue. */
  constructor(
    readonly turn: Turn,
    readonly share: Share,
    private readonly leave: (waiting: WaitingTurn) => void,
  ) {
    this.granted = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  grant(): void {
    this.#resolve?.();
    this.#reject = undefined;
  }

  /** Called by the deadline. After {@link grant} it does nothing: the call itself gives its place back then. */
  cancel(reason: Cancelled): void {
    const reject = this.#reject;
    if (reject) {
      this.#reject = undefined;
      this.leave(this);
      reject(reason);
    }
  }
}

/**
 * The queue of a client. A limited number of requests run at a time, of all identities and of each. Identities take turns
 * (round-robin); the requests of one identity keep their order. What the server says about its quota slows the queue down.
 */
export class FairShares {
  readonly #options: Required<MedplumQuotaOptions>;
  readonly #pace: QuotaPace | undefined;
  readonly #shares = new Map<string, Share>();
  /** Shares that have a request waiting and may run it, in the order of their turns. */
  readonly #ring = new Set<Share>();
  #running = 0;
  #queued = 0;
  /** How long a request takes, in ms. */
  #duration = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: Required<MedplumQuotaOptions>, quota: ServerQuota) {
    this.#options = options;
    this.#pace = options.pace ? new QuotaPace(quota) : undefined;
  }

  /** Requests that run. */
  get running(): number {
    return this.#running;
  }

  /** Requests that wait. */
  get queued(): number {
    return this.#queued;
  }

  /**
   * Asks for a place. Give it back with {@link leave}.
   *
   * @param timeLeft how long the call may wait, in ms.
   * @param again it is a retry, which the limits of the queue let pass.
   * @returns `undefined` if the request may be sent at once.
   * @throws MedplumOverloadError if it cannot even wait.
   */
  enter(turn: Turn, timeLeft: number, again: boolean): WaitingTurn | undefined {
    const { maxConcurrent, maxConcurrentPerIdentity } = this.#options;
    const known = this.#shares.get(turn.share);
    const isFree = this.#running < maxConcurrent && (known?.running ?? 0) < maxConcurrentPerIdentity;
    if (isFree && this.#ring.size === 0 && !this.#delay(turn)) {
      this.#admit(known ?? this.#share(turn.share), turn);
      return undefined;
    }
    if (!again) {
      this.#refuse(known, this.#pace?.usedUp(turn.cost) ?? 0, timeLeft);
    }
    const share = known ?? this.#share(turn.share);
    const waiting = new WaitingTurn(turn, share, (given) => this.#giveUp(given));
    (again ? share.retries : share.waiting).add(waiting);
    this.#queued++;
    this.#line(share);
    this.#advance();
    return waiting;
  }

  /**
   * Gives a place back.
   *
   * @param duration how long it was taken, in ms; `undefined` if nothing was sent.
   */
  leave({ share: key, cost }: Turn, duration?: number): void {
    this.#running--;
    this.#pace?.ended(cost);
    if (duration !== undefined) {
      this.#duration += (duration - this.#duration) * (this.#duration === 0 ? 1 : NEWEST);
    }
    const share = this.#share(key);
    share.running--;
    this.#line(share);
    this.#forget(share);
    this.#advance();
  }

  #share(key: string): Share {
    let share = this.#shares.get(key);
    if (!share) {
      share = new Share(key);
      this.#shares.set(key, share);
    }
    return share;
  }

  #delay({ cost }: Turn): number {
    return this.#pace?.delay(cost) ?? 0;
  }

  #admit(share: Share, { cost }: Turn): void {
    this.#running++;
    share.running++;
    this.#pace?.sent(cost);
  }

  /** @throws MedplumOverloadError */
  #refuse(share: Share | undefined, usedUp: number, timeLeft: number): void {
    const { maxQueued, maxQueuedPerIdentity, maxConcurrent, maxConcurrentPerIdentity } = this.#options;
    const ofShare = share?.waiting.size ?? 0;
    if (usedUp >= timeLeft) {
      throw overloaded(
        'The quota of the client is used up, and does not reset within the time limit of the call (option timeout).',
        usedUp,
      );
    }
    if (this.#queued >= maxQueued) {
      throw overloaded(
        'Too many calls of the client wait for their turn (quota.maxQueued).',
        Math.max(usedUp, (this.#queued * this.#duration) / maxConcurrent),
      );
    }
    if (ofShare >= maxQueuedPerIdentity) {
      throw overloaded(
        'Too many calls of one identity wait for their turn (quota.maxQueuedPerIdentity).',
        Math.max(usedUp, (ofShare * this.#duration) / maxConcurrentPerIdentity),
      );
    }
  }

  /** Gives the share a turn, at the end of the line, if it can use one and has none. */
  #line(share: Share): void {
    if (share.first && share.running < this.#options.maxConcurrentPerIdentity) {
      this.#ring.add(share);
    }
  }

  /** Lets requests go, one of each identity in turn. */
  #advance(): void {
    clearTimeout(this.#timer);
    while (this.#running < this.#options.maxConcurrent) {
      const share = first(this.#ring);
      const next = share?.first;
      if (!share || !next) {
        return;
      }
      const delay = this.#delay(next.turn);
      if (delay > 0) {
        this.#timer = setTimeout(() => this.#advance(), Math.min(Math.ceil(delay), LONGEST_TIMER)).unref();
        return;
      }
      this.#remove(next);
      this.#ring.delete(share);
      this.#admit(share, next.turn);
      this.#line(share);
      next.grant();
    }
  }

  #giveUp(waiting: WaitingTurn): void {
    const { share } = waiting;
    this.#remove(waiting);
    if (!share.first) {
      this.#ring.delete(share);
    }
    this.#forget(share);
    this.#advance();
  }

  #remove(waiting: WaitingTurn): void {
    const { retries, waiting: others } = waiting.share;
    if (retries.delete(waiting) || others.delete(waiting)) {
      this.#queued--;
    }
  }

  #forget(share: Share): void {
    if (share.running === 0 && !share.first) {
      this.#shares.delete(share.key);
    }
  }
}

function overloaded(why: string, wait: number): MedplumOverloadError {
  const retryAfter = Math.ceil(Math.max(SHORTEST_RETRY, wait));
  return new MedplumOverloadError(`${why} Nothing was sent. Make the call again after retryAfter, in ms.`, {
    retryable: true,
    retryAfter,
  });
}

function first<T>(values: Iterable<T>): T | undefined {
  for (const value of values) {
    return value;
  }
  return undefined;
}
