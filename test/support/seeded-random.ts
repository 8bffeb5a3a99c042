import { randomInt } from 'node:crypto';

/**
 * Numbers from 0 up to 1, like those of `Math.random`, that can be had again: `TEST_SEED` is where they begin. Without it
 * they begin anywhere, and a test file with a failure says where (test/jest/process-realm.environment.cjs).
 */
export function seededRandom(): () => number {
  const seed = (process.env['TEST_SEED'] ??= String(randomInt(1, 2 ** 32)));
  // Marsaglia's xorshift, of which 0 is a fixed point.
  let state = Number(seed) | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
