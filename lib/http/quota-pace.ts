import type { ServerLimit, ServerQuota } from './server-quota';

/** Below this part of a limit, what is left of it is spread over the time until it resets. */
const LOW = 0.2;

/**
 * Decides when the next request may be sent, so that the server never has to refuse one: while there is plenty of quota,
 * at once; when a fifth is left, evenly until the reset; when nothing is left, after the reset.
 */
export class QuotaPace {
  readonly #quota: ServerQuota;
  #underWay = 0;
  #costUnderWay = 0;
  /** Per limit: when the next request may be sent, by the monotonic clock. */
  readonly #nextAt = new Map<string, number>();

  constructor(quota: ServerQuota) {
    this.#quota = quota;
  }

  /** How long a request that costs `cost` points has to wait, in ms; 0 if it may be sent now. */
  delay(cost: number): number {
    const now = performance.now();
    let delay = 0;
    for (const limit of this.#quota.limits) {
      const needed = limit.name === 'requests' ? 1 : cost;
      const until = this.#left(limit) < needed ? limit.resetsAt : (this.#nextAt.get(limit.name) ?? 0);
      delay = Math.max(delay, Math.min(until, limit.resetsAt) - now);
    }
    return delay;
  }

  /** How long until the quota that a request needs resets, in ms; 0 if there is enough for it, or if nobody knows. */
  usedUp(cost: number): number {
    const now = performance.now();
    let wait = 0;
    for (const { name, remaining, resetsAt } of this.#quota.limits) {
      wait = Math.max(wait, remaining < (name === 'requests' ? 1 : cost) ? resetsAt - now : 0);
    }
    return wait;
  }

  /** Counts a request that is sent now. */
  sent(cost: number): void {
    const now = performance.now();
    for (const limit of this.#quota.limits) {
      const left = this.#left(limit);
      if (left < limit.most * LOW) {
        const needed = limit.name === 'requests' ? 1 : cost;
        this.#nextAt.set(limit.name, now + (needed * (limit.resetsAt - now)) / Math.max(left, needed));
      } else {
        this.#nextAt.delete(limit.name);
      }
    }
    this.#underWay++;
    this.#costUnderWay += cost;
  }

  /** The request has ended, and the server has counted it. */
  ended(cost: number): void {
    this.#underWay--;
    this.#costUnderWay -= cost;
  }

  /** What is left once the server has counted the requests under way. */
  #left({ name, remaining }: ServerLimit): number {
    return remaining - (name === 'requests' ? this.#underWay : this.#costUnderWay);
  }
}
