/** Closes what a test opened, each on its own, so that one that fails leaves no other open. */
export async function closeAll(...opened: readonly ({ close(): Promise<unknown> } | undefined)[]): Promise<void> {
  const results = await Promise.allSettled(opened.map(async (one) => one?.close()));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) {
    throw failed.reason;
  }
}
