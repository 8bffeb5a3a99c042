/** One request as it went over the wire for a call. */
export interface RequestAttempt {
  /** Counts from 1, repetitions after a renewed credential included. */
  readonly attempt: number;
  /** HTTP status, if the server answered. */
  readonly status?: number;
  /** From handing the request to the connection pool until its answer was read, in ms. */
  readonly durationMs: number;
  /** The value of `X-Medplum-On-Behalf-Of` as it was sent; `null` when the header was not sent. An identity: PHI. */
  readonly onBehalfOf: string | null;
  /** Why there was no usable answer: the code of the error underneath, e.g. `ECONNRESET`. */
  readonly error?: string;
  /**
   * Set when the attempt shared its request with those of other calls (option `batchReads`): their id in common (UUID).
   */
  readonly batchId?: string;
}

/** The identity stands behind a getter, so that JSON, `inspect` and loggers that walk fields do not show it. */
export class WireAttempt implements RequestAttempt {
  readonly attempt: number;
  readonly durationMs: number;
  readonly status?: number;
  readonly error?: string;
  readonly batchId?: string;
  readonly #onBehalfOf: string | null;

  constructor(
    attempt: number,
    durationMs: number,
    onBehalfOf: string | null,
    result: {
      readonly status?: number | undefined;
      readonly error?: string | undefined;
      readonly batchId?: string | undefined;
    },
  ) {
    this.attempt = attempt;
    this.durationMs = durationMs;
    this.#onBehalfOf = onBehalfOf;
    if (result.status !== undefined) {
      this.status = result.status;
    }
    if (result.error !== undefined) {
      this.error = result.error;
    }
    if (result.batchId !== undefined) {
      this.batchId = result.batchId;
    }
    Object.freeze(this);
  }

  get onBehalfOf(): string | null {
    return this.#onBehalfOf;
  }
}
