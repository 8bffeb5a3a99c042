/** Node's timers overflow above 2^31 - 1 ms and fire at once. */
export const MAX_MILLISECONDS = 2_147_483_647;

/** Whether a timer can run for so long. */
export function isMilliseconds(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value <= MAX_MILLISECONDS;
}
