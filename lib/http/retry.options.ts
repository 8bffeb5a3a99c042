/** How often one call is retried, and how long it waits in between. Only what is safe is retried, whatever you set. */
export interface MedplumCallRetryOptions {
  /** Retries after the first attempt; 0 switches them off. Default 3. */
  readonly maxRetries?: number | undefined;
  /** Longest wait before the first retry, in ms. It doubles with each retry, and is drawn with full jitter. Default 200. */
  readonly minTimeout?: number | undefined;
  /**
   * Longest single wait, in ms. If the server asks for a longer one (a used-up quota resets once a minute), the call fails
   * at once with `MedplumRateLimitError` and its `retryAfter`. Default 10,000.
   */
  readonly maxTimeout?: number | undefined;
}

/** How often the calls of a client are retried, and how long they wait in between. */
export interface MedplumRetryOptions extends MedplumCallRetryOptions {
  /**
   * Retries that all calls of the client may make in a row. The budget fills up within 10,000 ms, and by a fifth of a
   * retry with each call. While it is empty, calls fail without a retry, so that retries do not make an outage worse.
   * Default 100.
   */
  readonly budget?: number | undefined;
}

/** The defaults of {@link MedplumRetryOptions}. */
export const RETRY_DEFAULTS: Required<MedplumRetryOptions> = Object.freeze({
  maxRetries: 3,
  minTimeout: 200,
  maxTimeout: 10_000,
  budget: 100,
});
