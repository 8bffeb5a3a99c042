/** How the users of a client share its quota: how many requests run at a time, and how many calls may wait for that. */
export interface MedplumQuotaOptions {
  /** Most requests at the same time. Default 32. */
  readonly maxConcurrent?: number | undefined;
  /** Most requests of one identity at the same time. Default: a quarter of `maxConcurrent`, rounded up. */
  readonly maxConcurrentPerIdentity?: number | undefined;
  /** Most calls that wait. One more is a `MedplumOverloadError`. Default 10,000. */
  readonly maxQueued?: number | undefined;
  /** Most calls of one identity that wait. Default 1,000. */
  readonly maxQueuedPerIdentity?: number | undefined;
  /**
   * Slows the queue down when the server's `RateLimit` headers say that little is left of the quota. Set it to `false` if
   * your server counts the quota but does not enforce it (project setting `enableFhirQuota`). Default `true`.
   */
  readonly pace?: boolean | undefined;
}

/** @internal */
export function quotaOf(given: MedplumQuotaOptions): Required<MedplumQuotaOptions> {
  const maxConcurrent = given.maxConcurrent ?? 32;
  return Object.freeze({
    maxConcurrent,
    maxConcurrentPerIdentity: given.maxConcurrentPerIdentity ?? Math.ceil(maxConcurrent / 4),
    maxQueued: given.maxQueued ?? 10_000,
    maxQueuedPerIdentity: given.maxQueuedPerIdentity ?? 1_000,
    pace: given.pace ?? true,
  });
}
