import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type { MedplumEffect, MedplumError } from '../errors/medplum.error';
import type { RequestAttempt } from '../http/request-attempt';

/** How a call ended: `refused` means that nothing was sent. */
export type RequestOutcome = 'success' | 'error' | 'refused';

/** An error as an event shows it. */
export interface RequestEventError {
  /** Name of the error class. */
  readonly name: string;
  /** `MEDPLUM_…`. */
  readonly code: string;
}

/**
 * One call to Medplum, with everything that went over the wire for it. It is frozen, carries neither bodies nor
 * credentials, and looks nothing up: it says what was so when the call was made.
 *
 * `JSON.stringify`, `util.inspect` and loggers see the form without PHI ({@link RequestEvent.toJSON}); the rest stands
 * behind getters, and in one piece in {@link RequestEvent.toPhiAudit}.
 */
export interface RequestEvent {
  /** Unique id of the event (UUID). */
  readonly id: string;
  /** The same for all calls that one method made: pages, polls, the steps of a download (UUID). */
  readonly operationId: string;
  /** Name of the client; `default` for the unnamed one. */
  readonly client: string;
  /**
   * What the call does: `read`, `vread`, `history`, `search`, `create`, `update`, `patch`, `delete`, `batch`,
   * `transaction` or `operation`; `raw` for paths of the caller's own.
   */
  readonly action: string;
  /** HTTP method. */
  readonly method: string;
  /** Path with `{id}` in place of ids. */
  readonly pathTemplate: string;
  /** Path without query. PHI. */
  readonly path: string;
  /** Search parameters, all values of each. PHI. `undefined` when there were none. */
  readonly query: Readonly<Record<string, readonly string[]>> | undefined;
  /** Resource type, when the call is about one. */
  readonly resourceType?: string;
  /** PHI. */
  readonly resourceId: string | undefined;
  /** Name of the FHIR operation, with its `$`, if the call is one. */
  readonly operation?: string;
  /** How the call ended. */
  readonly outcome: RequestOutcome;
  /** What the call did on the server. */
  readonly effect: MedplumEffect;
  /** Whom the call was made for; `undefined` when it was made as the client itself, or refused without a name. PHI. */
  readonly onBehalfOf: string | undefined;
  /** Why that identity, or none, was used. `undefined` when the call was refused because nobody usable was named. */
  readonly identitySource?: 'call' | 'scope' | 'default' | 'cleared' | 'client-application' | 'lenient';
  /** Why the call was made as the client itself, in the words of the code that asked for it: not for logs. */
  readonly reason: string | undefined;
  /** When the call was made, by the wall clock. */
  readonly startedAt: Date;
  /** When it ended: {@link RequestEvent.startedAt} and the duration. */
  readonly endedAt: Date;
  /** By the monotonic clock, in ms. */
  readonly durationMs: number;
  /** Every wire attempt; empty when nothing was sent. */
  readonly attempts: readonly RequestAttempt[];
  /** HTTP status of the last answer, if there was one. */
  readonly status?: number;
  /** The error that the caller got, if any. */
  readonly error?: RequestEventError;
  /** The id under which the server logged the request, if it gave one. */
  readonly requestId?: string;
  /** The form for logs and metrics: no ids of records, no values, no identities. */
  toJSON(): Record<string, unknown>;
  /** The form for an audit trail: ids and identities included; search parameters only when asked for. */
  toPhiAudit(options?: { readonly includeQuery?: boolean }): Record<string, unknown>;
}

/** What a call knows when it ends. */
export interface RequestFacts {
  readonly operationId: string;
  readonly client: string;
  readonly action: string;
  readonly method: string;
  readonly pathTemplate: string;
  readonly path: string;
  /** Encoded, without `?`. */
  readonly query: string;
  readonly resourceType?: string | undefined;
  readonly resourceId?: string | undefined;
  readonly operation?: string | undefined;
  readonly onBehalfOf: string | undefined;
  readonly identitySource: RequestEvent['identitySource'] | undefined;
  readonly reason?: string | undefined;
  /** `Date.now()` when the call began. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly attempts: readonly RequestAttempt[];
  readonly status?: number | undefined;
  readonly requestId?: string | undefined;
  readonly effect: MedplumEffect;
  readonly error?: MedplumError | undefined;
}

/** The event of one call. */
export class RecordedRequestEvent implements RequestEvent {
  readonly id: string = randomUUID();
  readonly operationId: string;
  readonly client: string;
  readonly action: string;
  readonly method: string;
  readonly pathTemplate: string;
  readonly resourceType?: string;
  readonly operation?: string;
  readonly outcome: RequestOutcome;
  readonly effect: MedplumEffect;
  readonly identitySource?: RequestEvent['identitySource'];
  readonly durationMs: number;
  readonly attempts: readonly RequestAttempt[];
  readonly status?: number;
  readonly error?: RequestEventError;
  readonly requestId?: string;
  readonly #facts: RequestFacts;

  constructor(facts: RequestFacts) {
    this.#facts = facts;
    this.operationId = facts.operationId;
    this.client = facts.client;
    this.action = facts.action;
    this.method = facts.method;
    this.pathTemplate = facts.pathTemplate;
    this.resourceType = facts.resourceType;
    this.operation = facts.operation;
    this.outcome = facts.error ? (facts.attempts.length === 0 ? 'refused' : 'error') : 'success';
    this.effect = facts.effect;
    this.identitySource = facts.identitySource;
    this.durationMs = facts.durationMs;
    this.attempts = Object.freeze(facts.attempts);
    this.status = facts.status;
    this.error = facts.error && Object.freeze({ name: facts.error.name, code: facts.error.code });
    this.requestId = facts.requestId;
    Object.freeze(this);
  }

  get path(): string {
    return this.#facts.path;
  }

  get query(): Readonly<Record<string, readonly string[]>> | undefined {
    if (this.#facts.query === '') {
      return undefined;
    }
    const parameters = new URLSearchParams(this.#facts.query);
    return Object.fromEntries([...new Set(parameters.keys())].map((name) => [name, parameters.getAll(name)]));
  }

  get resourceId(): string | undefined {
    return this.#facts.resourceId;
  }

  get onBehalfOf(): string | undefined {
    return this.#facts.onBehalfOf;
  }

  get reason(): string | undefined {
    return this.#facts.reason;
  }

  get startedAt(): Date {
    return new Date(this.#facts.startedAt);
  }

  get endedAt(): Date {
    return new Date(this.#facts.startedAt + this.durationMs);
  }

  toJSON(): Record<string, unknown> {
    const said = Object.entries(this).filter(([, value]) => value !== undefined);
    return {
      ...Object.fromEntries(said),
      startedAt: this.startedAt.toISOString(),
      endedAt: this.endedAt.toISOString(),
    };
  }

  toPhiAudit(options: { readonly includeQuery?: boolean } = {}): Record<string, unknown> {
    const { path, resourceId, onBehalfOf, reason, query } = this;
    return {
      ...this.toJSON(),
      path,
      resourceId,
      onBehalfOf,
      reason,
      ...(options.includeQuery ? { query } : {}),
      attempts: this.attempts.map((attempt) => ({ ...attempt, onBehalfOf: attempt.onBehalfOf })),
    };
  }

  [inspect.custom](): string {
    return `RequestEvent ${inspect(this.toJSON())}`;
  }
}
