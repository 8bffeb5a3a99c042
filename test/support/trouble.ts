/** Runs `work` and returns the warnings, unhandled rejections and uncaught exceptions during and just after it. */
export async function troubleIn(work: () => Promise<unknown>): Promise<string[]> {
  const trouble: string[] = [];
  const note = (what: unknown) => void trouble.push(String(what));
  const events = ['uncaughtException', 'unhandledRejection', 'warning'];
  for (const event of events) {
    process.on(event, note);
  }
  try {
    await work();
    // Warnings come in the next tick, rejections at the end of the turn, and errors that RxJS rethrows in a timer.
    await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    for (const event of events) {
      process.off(event, note);
    }
  }
  return trouble;
}
