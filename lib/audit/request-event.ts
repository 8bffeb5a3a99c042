import type { MedplumEffect } from '../errors/medplum.error';
import type { RequestAttempt } from '../shared/request-attempt';
import type { MedplumAuditContext } from './audit-context';
import type { RequestEventEntries, RequestEventReturned } from './bundle-summary';

/**
 * How a call ended: `refused` means that no attempt was made to send it. `pending` is that of an intent
 * (`audit.mode: 'require'`), a record that a sink gets before a write is sent.
 */
export type RequestOutcome = 'success' | 'error' | 'refused' | 'pending';

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
  /** Unique id of the call (UUID). With `audit.mode: 'require'`, the intent of a write and its outcome share it. */
  readonly id: string;
  /** Id of the client in this run of the app (UUID). */
  readonly instanceId: string;
  /**
   * Counts the records of one `instanceId` from 1: a number that is missing in a sink is a record that was lost. Intents
   * have numbers of their own, and are not on `events$`.
   */
  readonly seq: number;
  /** The same for all calls that one method made: pages, polls, the steps of a download (UUID). */
  readonly operationId: string;
  /** Name of the client; `default` for the unnamed one. */
  readonly client: string;
  /** Id of the ClientApplication that the call was made with. Half of its credentials: not for logs. */
  readonly clientId: string;
  /** Address of the Medplum server. It may name a project: not for logs. */
  readonly baseUrl: string;
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
  /** Of a create: the id that the server gave. PHI. */
  readonly resourceId: string | undefined;
  /** Version of the resource that was read or written, as the server answered it. PHI. */
  readonly resourceVersion: string | undefined;
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
  /** `true` when the identity came from a scope that had already ended (option `lateCalls`); absent otherwise. */
  readonly afterScope?: boolean;
  /** Why the call was made as the client itself, in the words of the code that asked for it: not for logs. */
  readonly reason: string | undefined;
  /** When the call was made, by the wall clock. */
  readonly startedAt: Date;
  /** When it ended: {@link RequestEvent.startedAt} and the duration. */
  readonly endedAt: Date;
  /** By the monotonic clock, in ms. */
  readonly durationMs: number;
  /** Every attempt, also those that got no connection; empty when none was made. */
  readonly attempts: readonly RequestAttempt[];
  /** HTTP status of the last answer, if there was one. */
  readonly status?: number;
  /** The error that the caller got, if any. */
  readonly error?: RequestEventError;
  /** The id under which the server logged the request, if it gave one. */
  readonly requestId?: string;
  /** `X-Request-Id` of the HTTP request whose decorated handler made the call, if it is well-formed. */
  readonly inboundRequestId?: string;
  /**
   * Trace of the call: from the `traceparent` or `X-Trace-Id` that was sent with it (its own, else that of the HTTP request
   * whose decorated handler made it), else from the `auditContext` option.
   */
  readonly traceId?: string;
  /** Of a batch or transaction: what its entries were, and how each kind ended. */
  readonly entries?: readonly RequestEventEntries[];
  /** Of an answer that is a bundle (search, history, operation): how many resources of which types it held. */
  readonly returned?: RequestEventReturned;
  /** Resources in the answer, or in a batch or transaction: `Patient/1`, each once, at most 100. PHI. */
  readonly references: readonly string[];
  /** What the app said of the end user (option `auditContext`). PHI. */
  readonly context: MedplumAuditContext | undefined;
  /** The form for logs and metrics: no ids of records, no values, no identities. */
  toJSON(): Record<string, unknown>;
  /** The form for an audit trail: ids and identities included; search parameters only when asked for. */
  toPhiAudit(options?: { readonly includeQuery?: boolean }): Record<string, unknown>;
}
