/** Resolves when a condition holds, looked at in each turn of the event loop. The time limit of the test ends it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise(setImmediate);
  }
}
