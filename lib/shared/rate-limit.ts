/** One limit of a `RateLimit` header. */
export interface RateLimit {
  /** `requests` or `fhirInteractions` on Medplum; empty if the header names none. */
  readonly name: string;
  readonly remaining: number;
  /** How long until it resets, in ms. */
  readonly reset: number;
}

/** The limits of a header such as `"requests";r=59941;t=2, "fhirInteractions";r=0;t=60`. */
export function rateLimits(header: string | undefined): RateLimit[] {
  const limits: RateLimit[] = [];
  for (const part of header?.split(',') ?? []) {
    const remaining = /;\s*r=(\d{1,15})/.exec(part)?.[1];
    const seconds = /;\s*t=(\d{1,9})/.exec(part)?.[1];
    if (remaining !== undefined && seconds !== undefined) {
      const name = /^\s*"([^"]*)"/.exec(part)?.[1] ?? '';
      limits.push({ name, remaining: Number(remaining), reset: Number(seconds) * 1000 });
    }
  }
  return limits;
}

/** How long Medplum's limiter asks to wait, in ms. Medplum writes the limiter's state as JSON into a text. */
export function msBeforeNext(text: unknown): number | undefined {
  const ms = typeof text === 'string' ? /"_msBeforeNext":\s*(\d{1,12})/.exec(text)?.[1] : undefined;
  return ms === undefined ? undefined : Number(ms);
}

/** The longest of several waits, in ms; `undefined` if none is known. */
export function longestWait(waits: Iterable<number | undefined>): number | undefined {
  let longest: number | undefined;
  for (const wait of waits) {
    longest = wait === undefined ? longest : Math.max(longest ?? 0, wait);
  }
  return longest;
}
