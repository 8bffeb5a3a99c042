import type { EmulatorRateLimits, MedplumServerVersion, OperationOutcome } from './emulator.types';
import { core } from './medplum-peers';

const WINDOW_MS = 60_000;
/** High enough that no test reaches it by accident. */
const NO_PRACTICAL_LIMIT = 1_000_000_000;

interface Window {
  endsAt: number;
  used: number;
}

/** What is left of a limit, for `r` and `t` of the `RateLimit` header. */
export interface RateLimitState {
  readonly remaining: number;
  readonly msToReset: number;
  readonly used: number;
  readonly limit: number;
}

/** Counts requests per address and FHIR points per client, in windows of one minute, as the server does. */
export class RateLimiter {
  private readonly windows = new Map<string, Window>();

  constructor(
    private limits: EmulatorRateLimits,
    private readonly serverVersion: MedplumServerVersion,
  ) {}

  /** Replaces the limits and forgets what was used. */
  reset(limits: EmulatorRateLimits): void {
    this.limits = limits;
    this.windows.clear();
  }

  /** Counts one request from an address. */
  countRequest(address: string, authRoute: boolean): RateLimitState {
    const limit = authRoute ? this.limits.authRequests : this.limits.requests;
    return this.use(`${authRoute ? 'auth' : 'requests'} ${address}`, 1, limit);
  }

  /** How many FHIR points a client has left. */
  points(membershipId: string): RateLimitState {
    return this.use(`points ${membershipId}`, 0, this.limits.fhirPoints);
  }

  /**
   * Counts FHIR points of a client. Requests beyond the limit count as well.
   *
   * @throws OperationOutcomeError 429 beyond the limit.
   */
  chargePoints(membershipId: string, points: number): void {
    const state = this.use(`points ${membershipId}`, points, this.limits.fhirPoints);
    if (state.used > state.limit) {
      const outcome = throttled(state);
      if (this.serverVersion !== '5.0') {
        core.setRateLimitReset(outcome, state.msToReset);
      }
      throw new core.OperationOutcomeError(outcome);
    }
  }

  private use(key: string, amount: number, limit = NO_PRACTICAL_LIMIT): RateLimitState {
    const now = Date.now();
    let window = this.windows.get(key);
    if (!window || window.endsAt <= now) {
      window = { endsAt: now + WINDOW_MS, used: 0 };
      this.windows.set(key, window);
    }
    window.used += amount;
    return {
      remaining: Math.max(0, limit - window.used),
      msToReset: window.endsAt - now,
      used: window.used,
      limit,
    };
  }
}

/** The outcome for a request beyond the limit. Its `diagnostics` is JSON inside a string, as on the server. */
function throttled({ msToReset, used, limit }: RateLimitState): OperationOutcome {
  const diagnostics = JSON.stringify({
    _remainingPoints: 0,
    _msBeforeNext: msToReset,
    _consumedPoints: used,
    _isFirstInDuration: false,
    limit,
  });
  return {
    ...core.tooManyRequests,
    issue: core.tooManyRequests.issue.map((issue) => ({ ...issue, diagnostics })),
  };
}
