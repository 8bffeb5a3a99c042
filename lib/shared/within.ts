/**
 * The result of `work`, if it comes in time.
 *
 * @throws Error with the code `ETIMEDOUT` after `ms` milliseconds. The work itself goes on.
 */
export async function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error('Late.'), { code: 'ETIMEDOUT' })), ms);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
