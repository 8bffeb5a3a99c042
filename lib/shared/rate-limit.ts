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
