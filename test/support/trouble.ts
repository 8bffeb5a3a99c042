/** What nobody handled, and what Node warned of, while `work` ran and in the turn of the event loop after it. */
export async function troubleIn(work: () => Promise<unknown>): Promise<string[]> {
  const trouble: string[] = [];
  const note = (what: unknown) => void trouble.push(String(what));
  const events = ['uncaughtException', 'unhandledRejection', 'warning'];
  for (const event of events) {
    process.on(event, note);
  }
  try {
    await work();
    // Warnings wait for the next tick, rejections for the end of the turn, and what RxJS rethrows for a timer.
    await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    for (const event of events) {
      process.off(event, note);
    }
  }
  return trouble;
}
