import type { OperationOutcome } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { shownError } from './shown';

/**
 * What a failed call did on the server.
 *
 * - `none`: it wrote nothing. Reads always have this effect.
 * - `happened`: the write took effect although the call failed. Do not make the call again.
 * - `unknown`: the write may have taken effect, because the connection broke, the time ran out or the server failed
 *   after the request had been sent. Read the resource before you repeat the write.
 */
export type MedplumEffect = 'none' | 'happened' | 'unknown';

/** The call that failed. It names people and records, so only a getter returns it: no message and no JSON holds it. */
export interface MedplumErrorRequest {
  /** Name of the client (`default` for the unnamed one). */
  readonly client: string;
  /** HTTP method. */
  readonly method: string;
  /** Path without the query, with its ids: PHI. */
  readonly path: string;
  /** Path with `{id}` in place of ids. */
  readonly pathTemplate: string;
  /** The identity of the call; `undefined` when it ran as the client itself, or was refused without an identity. */
  readonly onBehalfOf: string | undefined;
  /** Why the call used that identity, or none, as in `RequestEvent`; `undefined` when it was refused without one. */
  readonly identitySource: string | undefined;
}

/** What an error is made of, besides its code and its message. */
export interface MedplumErrorDetails {
  /** HTTP status of the response. */
  readonly status?: number | undefined;
  /** The server's OperationOutcome. It may quote stored values: PHI. */
  readonly outcome?: OperationOutcome | undefined;
  /** Default `none`. */
  readonly effect?: MedplumEffect | undefined;
  /**
   * Whether you may make the same call again later: it may succeed then, and nothing is done twice. Default `false`.
   */
  readonly retryable?: boolean | undefined;
  /** The underlying error. Only its `name` and `code` are kept. */
  readonly cause?: unknown;
}

const BRAND = Symbol.for('nestjs-medplum:MedplumError');

/**
 * Base class of every error that this library throws. You can log it safely: its message, its enumerable fields, its
 * JSON form and `util.inspect` show no ids, values, identities, credentials or text of the server. The getters
 * {@link MedplumError.outcome} and {@link MedplumError.request} return what you may need to act on the error, PHI
 * included.
 */
export class MedplumError extends Error {
  /** Stable code of the error class, `MEDPLUM_…`. */
  readonly code: string;
  /** HTTP status of the response, if there was one. */
  readonly status?: number;
  /** What the call did on the server. */
  readonly effect: MedplumEffect;
  /** Whether you may make the same call again later: it may succeed then, and nothing is done twice. */
  readonly retryable: boolean;

  readonly #outcome: OperationOutcome | undefined;
  #request: MedplumErrorRequest | undefined;
  #requestId: string | undefined;

  constructor(code: string, message: string, details: MedplumErrorDetails = {}) {
    const { cause } = details;
    super(message, cause === undefined || cause === null ? undefined : { cause: Object.freeze(shownError(cause)) });
    Object.defineProperty(this, 'name', { value: new.target.name, configurable: true, writable: true });
    Object.defineProperty(this, BRAND, { value: true });
    this.code = code;
    if (details.status !== undefined) {
      this.status = details.status;
    }
    this.effect = details.effect ?? 'none';
    this.retryable = details.retryable ?? false;
    this.#outcome = details.outcome;
  }

  /** The server's OperationOutcome, if there was one. It may quote stored values: do not log it or pass it on. PHI. */
  get outcome(): OperationOutcome | undefined {
    return this.#outcome;
  }

  /** The call that failed. It names records and identities: do not log it or pass it on. PHI. */
  get request(): MedplumErrorRequest | undefined {
    return this.#request;
  }

  /** The id under which the server logged the request, if it sent one. Quote it when you ask the server's operators. */
  get requestId(): string | undefined {
    return this.#requestId;
  }

  /** @internal Called by the transport that read the response. The first id stays. */
  attachRequestId(requestId: string | undefined): void {
    this.#requestId ??= requestId;
  }

  /** @internal Called by the service that made the call. The first request stays. */
  attachRequest(request: MedplumErrorRequest): void {
    this.#request ??= Object.freeze(request);
  }

  /** The form for logs, without ids, values or text of the server. */
  toJSON(): Record<string, unknown> {
    const { name, code, message, status, effect, retryable } = this;
    return { name, code, message, ...(status === undefined ? {} : { status }), effect, retryable };
  }

  /** The base class recognises errors from another copy of this package by their brand. Subclasses compare as usual. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return this === MedplumError ? isMedplumError(value) : Function.prototype[Symbol.hasInstance].call(this, value);
  }
}

/**
 * Whether this library threw `error`. It also recognises errors from another copy of the library in `node_modules`; for
 * those, `instanceof` with a subclass is `false`, so compare `code` instead.
 */
export function isMedplumError(error: unknown): error is MedplumError {
  return typeof error === 'object' && error !== null && BRAND in error;
}
