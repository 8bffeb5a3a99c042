/** Closes everything that a test opened, each on its own. If one fails to close, the others still close. */
export async function closeAll(...opened: readonly ({ close(): Promise<unknown> } | undefined)[]): Promise<void> {
  const results = await Promise.allSettled(opened.map(async (one) => one?.close()));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) {
    throw failed.reason;
  }
}
