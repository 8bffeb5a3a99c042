/** How often and how patiently one call is repeated. Only what is safe is repeated at all, whatever is set here. */
export interface MedplumCallRetryOptions {
  /** Repetitions after the first attempt. Default 3; 0 switches them off. */
  readonly maxRetries?: number;
  /** First step of the exponential back-off, in ms, drawn with full jitter. Default 200. */
  readonly minTimeout?: number;
  /**
   * Longest single wait, in ms. Default 10,000. When the server asks for more (a used-up quota resets once a minute),
   * the call fails at once with `MedplumRateLimitError` and its `retryAfter`.
   */
  readonly maxTimeout?: number;
}

/** How often and how patiently the calls of a client are repeated. */
export interface MedplumRetryOptions extends MedplumCallRetryOptions {
  /**
   * Repetitions that all calls together may make in a row. Default 100; it fills up within 10 seconds, and by a fifth of
   * a repetition with each call. When it is empty calls fail without being repeated, so that an outage is not made worse.
   */
  readonly budget?: number;
}

/** The defaults of {@link MedplumRetryOptions}. */
export const RETRY_DEFAULTS: Required<MedplumRetryOptions> = Object.freeze({
  maxRetries: 3,
  minTimeout: 200,
  maxTimeout: 10_000,
  budget: 100,
});
