import { OnBehalfOfRequiredError } from '../errors/on-behalf-of.errors';
import type { OnBehalfOfReference } from './on-behalf-of.reference';

/** A key of {@link batchByIdentity}. */
export interface IdentityKey {
  /** Who asks: `medplum.currentOnBehalfOf` where the key is made. */
  readonly as: OnBehalfOfReference | undefined;
}

/**
 * Runs a batch of a loader, such as `DataLoader`, once per identity. A loader runs its batch in the scope of whoever asked
 * first, so the identity has to be in the keys, and each call has to name it: `{ onBehalfOf }`.
 *
 * @param keys of one batch. Put `as` into the cache key of the loader as well.
 * @param batch gets the keys of one identity, and returns one value for each of them, in the same order.
 * @returns one value per key, in the order of the keys. If the batch of an identity fails, the error stands in the place of
 * each of its values, as `DataLoader` expects it. So does an OnBehalfOfRequiredError for keys without an identity, and a
 * RangeError if `batch` returned another number of values than it got keys.
 * @example
 * ```ts
 * new DataLoader((keys: readonly PatientKey[]) => batchByIdentity(keys, (own, onBehalfOf) => readAll(own, { onBehalfOf })), {
 *   cacheKeyFn: ({ as, id }) => `${as} ${id}`,
 * });
 * ```
 */
export async function batchByIdentity<K extends IdentityKey, V>(
  keys: readonly K[],
  batch: (keys: readonly K[], onBehalfOf: OnBehalfOfReference) => PromiseLike<readonly (V | Error)[]>,
): Promise<(V | Error)[]> {
  const groups = new Map<OnBehalfOfReference | undefined, number[]>();
  keys.forEach(({ as }, index) => {
    const group = groups.get(as);
    if (group) {
      group.push(index);
    } else {
      groups.set(as, [index]);
    }
  });
  const values = new Map<number, V | Error>();
  await Promise.all(
    [...groups].map(async ([as, indexes]) => {
      const own = indexes.flatMap((index) => keys.slice(index, index + 1));
      const results = await runOne(own, as, batch);
      results.forEach((value, position) => values.set(indexes[position] ?? 0, value));
    }),
  );
  return keys.map((_key, index) => values.get(index) as V | Error);
}

/** As many values as keys, whatever happens. */
async function runOne<K, V>(
  keys: readonly K[],
  as: OnBehalfOfReference | undefined,
  batch: (keys: readonly K[], onBehalfOf: OnBehalfOfReference) => PromiseLike<readonly (V | Error)[]>,
): Promise<readonly (V | Error)[]> {
  try {
    if (!as) {
      throw new OnBehalfOfRequiredError(
        'A key of batchByIdentity() has no identity, so its value was not loaded. Set `as` to medplum.currentOnBehalfOf in a scope that acts for somebody.',
      );
    }
    const values = await batch(keys, as);
    if (values.length !== keys.length) {
      throw new RangeError(
        'The batch of batchByIdentity() returned another number of values than it got keys. Return one value for each key, in the same order.',
      );
    }
    return values;
  } catch (error) {
    const reason = error instanceof Error ? error : new Error('The batch failed.', { cause: error });
    return keys.map(() => reason);
  }
}
