import type { DelegationRefusal } from '../errors/delegation.error';
import type { MedplumEffect } from '../errors/medplum.error';
import type { RequestAttempt } from '../shared/request-attempt';
import type { MedplumAuditContext } from './audit-context';
import type { RequestEventEntries, RequestEventReturned } from './bundle-summary';

/**
 * How a call ended. `refused`: no attempt was made to send it. `pending`: the event is an intent, which a sink gets
 * before a write is sent (`audit.mode: 'require'`).
 */
export type RequestOutcome = 'success' | 'error' | 'refused' | 'pending';

/** An error as an event shows it. */
export interface RequestEventError {
  /** Name of the error class. */
  readonly name: string;
  /** `MEDPLUM_…`. */
  readonly code: string;
  /** Of a `DelegationError`: why, in one word. */
  readonly reason?: DelegationRefusal;
}

/** The delegation token behind a call. */
export interface RequestEventDelegation {
  /** The id of the token (`jti`, a UUID). */
  readonly id: string;
  /** The job that the token is bound to, if it is. */
  readonly jobId?: string | undefined;
}

/**
 * The record of one call to Medplum, with all its attempts. It is frozen and holds neither bodies nor credentials. It
 * describes the call as it was and never looks anything up later.
 *
 * `JSON.stringify`, `util.inspect` and loggers see the form without PHI ({@link RequestEvent.toJSON}). Getters give the
 * rest, and {@link RequestEvent.toPhiAudit} gives all of it in one object.
 */
export interface RequestEvent {
  /** Unique id of the call (UUID). With `audit.mode: 'require'`, the intent and the outcome of a write share it. */
  readonly id: string;
  /** Id of the client in this run of the app (UUID). */
  readonly instanceId: string;
  /**
   * Counts the records of one `instanceId` from 1. A number that is missing in a sink means a lost record. Intents have
   * their own numbers. They are not on `events$`.
   */
  readonly seq: number;
  /** Shared by all calls that one method makes: pages, polls, the steps of a download (UUID). */
  readonly operationId: string;
  /** Name of the client. `default` for the unnamed client. */
  readonly client: string;
  /** Id of the ClientApplication that made the call. It is half of its credentials, so keep it out of logs. */
  readonly clientId: string;
  /** URL of the Medplum server. It may name a project, so keep it out of logs. */
  readonly baseUrl: string;
  /**
   * What the call does: `read`, `vread`, `history`, `search`, `create`, `update`, `patch`, `delete`, `batch`,
   * `transaction` or `operation`. `raw` for a path that the caller wrote. Without a request, where `method` is `NONE` and
   * the path `/`: `delegation` for a token that was not made or not accepted, and `break-glass` and `break-glass-end` when
   * emergency access begins and ends.
   */
  readonly action: string;
  /** HTTP method. */
  readonly method: string;
  /** Path with `{id}` in place of ids. */
  readonly pathTemplate: string;
  /** Path without query. PHI. */
  readonly path: string;
  /** Search parameters with all their values. PHI. `undefined` when there were none. */
  readonly query: Readonly<Record<string, readonly string[]>> | undefined;
  /** Resource type, if the call is about one. */
  readonly resourceType?: string;
  /** Id of the resource. For a create, the id that the server assigned. PHI. */
  readonly resourceId: string | undefined;
  /** Version of the resource that was read or written, from the response. PHI. */
  readonly resourceVersion: string | undefined;
  /** Name of the FHIR operation, with its `$`, if the call runs one. */
  readonly operation?: string;
  /** How the call ended. */
  readonly outcome: RequestOutcome;
  /** Whether the call changed something on the server. */
  readonly effect: MedplumEffect;
  /** The identity of the call. `undefined` when it ran as the client itself, or was refused without an identity. PHI. */
  readonly onBehalfOf: string | undefined;
  /** Where that identity came from, or why there was none. `undefined` when the call was refused without an identity. */
  readonly identitySource?: 'call' | 'scope' | 'default' | 'cleared' | 'client-application' | 'lenient' | 'break-glass';
  /** `true` when the identity came from a scope that had already ended (option `lateCalls`); absent otherwise. */
  readonly afterScope?: boolean;
  /** `true` when a delegation token opened the scope of the call, or was refused; absent otherwise. */
  readonly delegated?: boolean;
  /** That token, if `delegated`. `undefined` when it was not even signed by a known key. Its job may be PHI. */
  readonly delegation: RequestEventDelegation | undefined;
  /** Why the call ran as the client itself or with emergency access, in the words of the code. Keep it out of logs. */
  readonly reason: string | undefined;
  /** When the call began, by the wall clock. */
  readonly startedAt: Date;
  /** When the call ended: {@link RequestEvent.startedAt} plus the duration. */
  readonly endedAt: Date;
  /** Duration by the monotonic clock, in ms. */
  readonly durationMs: number;
  /** Every attempt, including those that got no connection. Empty when the call was refused. */
  readonly attempts: readonly RequestAttempt[];
  /** HTTP status of the last response, if there was one. */
  readonly status?: number;
  /** The error that the caller got, if any. */
  readonly error?: RequestEventError;
  /** The id under which the server logged the request, if it gave one. */
  readonly requestId?: string;
  /** `X-Request-Id` of the HTTP request whose decorated handler made the call, if it is well-formed. */
  readonly inboundRequestId?: string;
  /**
   * Trace of the call, from the `traceparent` or `X-Trace-Id` that was sent with it, else from the `auditContext` option.
   * The call sends its own header, else that of the HTTP request whose decorated handler made it.
   */
  readonly traceId?: string;
  /** For a batch or transaction: its entries, grouped by method, type and status. */
  readonly entries?: readonly RequestEventEntries[];
  /** For a response that is a bundle (search, history, operation): how many resources of which types it holds. */
  readonly returned?: RequestEventReturned;
  /** Resources in the response, or in a batch or transaction, such as `Patient/1`. Each once, at most 100. PHI. */
  readonly references: readonly string[];
  /** What the app said about the end user (option `auditContext`). PHI. */
  readonly context: MedplumAuditContext | undefined;
  /** The form for logs and metrics, without ids of records, values and identities. */
  toJSON(): Record<string, unknown>;
  /** The form for an audit trail, with ids and identities. Search parameters only with `includeQuery`. */
  toPhiAudit(options?: { readonly includeQuery?: boolean }): Record<string, unknown>;
}
