import { rateLimits } from '../shared/rate-limit';

/** What is left of the quota of a client, as far as the server has said. */
export interface MedplumQuotaRemaining {
  /** Requests from this address, whichever client sends them. */
  readonly requests?: number;
  /** FHIR points of the client: a read costs 1, a search 20, a write 100. All of its users share them. */
  readonly fhirInteractions?: number;
}

/** One limit of the server in its current window. */
export interface ServerLimit {
  readonly name: string;
  readonly remaining: number;
  /** By the monotonic clock, in ms. */
  readonly resetsAt: number;
  /** The most that has ever been left: as good as the limit itself, which no response tells. */
  readonly most: number;
}

/** Two reset times that differ by less belong to the same window, in ms: the server rounds up to seconds. */
const SAME_WINDOW = 2_000;

/** These have a limiter of their own, under the same name. */
const AUTH_ROUTE = /^(?:api\/|projects\/[^/]+\/)*(?:auth|oauth2)\//;

/** What the `RateLimit` headers of the server say about the quotas of a client. */
export class ServerQuota {
  readonly #limits = new Map<string, ServerLimit>();
  // Binary and admin routes tell about the requests alone. Headers are read only when somebody asks.
  #withFhir: { readonly header: string; readonly at: number } | undefined;
  #without: { readonly header: string; readonly at: number } | undefined;

  /** @param path of the request, relative to the base URL. */
  note(path: string, header: string | undefined): void {
    if (header === undefined || (!path.startsWith('fhir/') && AUTH_ROUTE.test(path))) {
      return;
    }
    const noted = { header, at: performance.now() };
    if (header.includes('fhirInteractions')) {
      this.#withFhir = noted;
    } else {
      this.#without = noted;
    }
  }

  /** The limits whose window has not ended. */
  get limits(): ServerLimit[] {
    const now = performance.now();
    this.#read(this.#withFhir);
    this.#read(this.#without);
    this.#withFhir = this.#without = undefined;
    return [...this.#limits.values()].filter(({ resetsAt }) => resetsAt > now);
  }

  #read(noted: { readonly header: string; readonly at: number } | undefined): void {
    for (const { name, remaining, reset } of noted ? rateLimits(noted.header) : []) {
      const resetsAt = (noted?.at ?? 0) + reset;
      const known = this.#limits.get(name);
      // Within a window the rest only shrinks, so a response that was overtaken says too much.
      const sameWindow = known !== undefined && Math.abs(known.resetsAt - resetsAt) < SAME_WINDOW;
      this.#limits.set(name, {
        name,
        remaining: sameWindow ? Math.min(known.remaining, remaining) : remaining,
        resetsAt: sameWindow ? Math.max(known.resetsAt, resetsAt) : resetsAt,
        most: Math.max(known?.most ?? 0, remaining),
      });
    }
  }
}
