import type { OperationOutcome } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { shownError } from './shown';

/**
 * What a failed call did on the server: `none`, nothing was written; `happened`, the write took effect although the call
 * failed; `unknown`, nobody can tell (the connection broke, or time ran out, after a write had been sent).
 */
export type MedplumEffect = 'none' | 'happened' | 'unknown';

/** The call that failed. It names people and records, so it stands behind a getter and never in a message or in JSON. */
export interface MedplumErrorRequest {
  /** Name of the client (`default` for the unnamed one). */
  readonly client: string;
  /** HTTP method. */
  readonly method: string;
  /** Path without query, ids included: PHI. */
  readonly path: string;
  /** Path with `{id}` in place of ids. */
  readonly pathTemplate: string;
  /** The identity that the call was made for; `undefined` when it was made as the client itself or refused without one. */
  readonly onBehalfOf: string | undefined;
  /** Why that identity, or none, was used, as in `RequestEvent`; `undefined` when the call was refused without one. */
  readonly identitySource: string | undefined;
}

/** What an error is made of, beside its code and its message. */
export interface MedplumErrorDetails {
  /** HTTP status that the server answered. */
  readonly status?: number | undefined;
  /** The server's OperationOutcome. It may quote stored values: PHI. */
  readonly outcome?: OperationOutcome | undefined;
  /** Default `none`. */
  readonly effect?: MedplumEffect | undefined;
  /** Whether the same call may succeed when it is made again later. Default `false`. */
  readonly retryable?: boolean | undefined;
  /** What went wrong underneath. Only its `name` and `code` are kept. */
  readonly cause?: unknown;
}

const BRAND = Symbol.for('nestjs-medplum:MedplumError');

/**
 * Base of every error that this library throws. Neither its message nor its enumerable fields, its JSON form or
 * `util.inspect` carry ids, values, identities, credentials or text of the server; what may be needed to act on the
 * error stands behind the getters {@link MedplumError.outcome} and {@link MedplumError.request}.
 */
export class MedplumError extends Error {
  /** Stable name of the case, `MEDPLUM_…`. */
  readonly code: string;
  /** HTTP status that the server answered, if it answered. */
  readonly status?: number;
  /** What the call did on the server. */
  readonly effect: MedplumEffect;
  /** Whether the same call may succeed when it is made again later, without doing anything twice. */
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

  /** The server's OperationOutcome, if there was one. It may quote stored values: do not log it, do not pass it on. */
  get outcome(): OperationOutcome | undefined {
    return this.#outcome;
  }

  /** The call that failed. It names records and identities: do not log it, do not pass it on. */
  get request(): MedplumErrorRequest | undefined {
    return this.#request;
  }

  /** The id under which the server logged the request, if it gave one: quote it when you ask its operators. */
  get requestId(): string | undefined {
    return this.#requestId;
  }

  /** @internal Called once, by the transport that read the answer. */
  attachRequestId(requestId: string | undefined): void {
    this.#requestId ??= requestId;
  }

  /** @internal Called once, by the service that made the call. */
  attachRequest(request: MedplumErrorRequest): void {
    this.#request ??= Object.freeze(request);
  }

  /** The form for logs: no ids, no values, no text of the server. */
  toJSON(): Record<string, unknown> {
    const { name, code, message, status, effect, retryable } = this;
    return { name, code, message, ...(status === undefined ? {} : { status }), effect, retryable };
  }

  /** The base class recognises errors of another copy of this package by their brand; subclasses compare as usual. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return this === MedplumError ? isMedplumError(value) : Function.prototype[Symbol.hasInstance].call(this, value);
  }
}

/**
 * Whether `error` was thrown by this library, also when it comes from another copy of it in `node_modules`
 * (where `instanceof` with a subclass answers `false`; compare `code` there).
 */
export function isMedplumError(error: unknown): error is MedplumError {
  return typeof error === 'object' && error !== null && BRAND in error;
}
