import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { DelegationError } from '../errors/delegation.error';
import type { MedplumEffect, MedplumError } from '../errors/medplum.error';
import { type ResourceKey, resourceKey } from '../shared/fhir-id';
import type { RequestAttempt } from '../shared/request-attempt';
import type { MedplumAuditContext } from './audit-context';
import {
  entryReferences,
  groupedEntries,
  type RequestedEntry,
  type RequestEventEntries,
  type RequestEventReturned,
  returnedResources,
} from './bundle-summary';
import type { RequestEvent, RequestEventDelegation, RequestEventError, RequestOutcome } from './request-event';

/** The facts of a request, made once when it ends. The event reads them. */
export interface RequestFacts {
  /** The intent and the outcome of a call share it. */
  readonly id?: string | undefined;
  /** `true` for an intent: the call is about to be sent. */
  readonly pending?: boolean | undefined;
  readonly operationId: string;
  readonly client: string;
  readonly clientId: string;
  readonly baseUrl: string;
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
  readonly afterScope?: boolean | undefined;
  readonly delegated?: boolean | undefined;
  readonly delegation?: RequestEventDelegation | undefined;
  /** `Date.now()` when the call began. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly attempts: readonly RequestAttempt[];
  readonly status?: number | undefined;
  readonly requestId?: string | undefined;
  readonly inboundRequestId?: string | undefined;
  readonly effect: MedplumEffect;
  readonly error?: MedplumError | undefined;
  readonly traceId?: string | undefined;
  readonly context?: MedplumAuditContext | undefined;
  /** The entries of a batch or transaction. */
  readonly entries?: readonly RequestedEntry[] | undefined;
}

/** The position of an event among the events of its client. */
export interface RequestEventPlace {
  readonly instanceId: string;
  readonly seq: number;
}

/** The event of one call. */
export class RecordedRequestEvent implements RequestEvent {
  readonly id: string;
  readonly instanceId: string;
  readonly seq: number;
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
  readonly afterScope?: boolean;
  readonly delegated?: boolean;
  readonly durationMs: number;
  readonly attempts: readonly RequestAttempt[];
  readonly status?: number;
  readonly error?: RequestEventError;
  readonly requestId?: string;
  readonly inboundRequestId?: string;
  readonly traceId?: string;
  readonly entries?: readonly RequestEventEntries[];
  readonly returned?: RequestEventReturned;
  // These are PHI, or not meant for logs. Getters keep them out of what loggers print.
  readonly #facts: RequestFacts;
  readonly #resource: ResourceKey | undefined;
  readonly #references: readonly string[];

  /** @param answer the parsed body of the response. The event reads it and does not keep it. */
  constructor(facts: RequestFacts, { instanceId, seq }: RequestEventPlace, answer?: unknown) {
    this.id = facts.id ?? randomUUID();
    this.instanceId = instanceId;
    this.seq = seq;
    this.operationId = facts.operationId;
    this.client = facts.client;
    this.action = facts.action;
    this.method = facts.method;
    this.pathTemplate = facts.pathTemplate;
    this.resourceType = facts.resourceType;
    this.operation = facts.operation;
    this.outcome = outcomeOf(facts);
    this.effect = facts.effect;
    this.identitySource = facts.identitySource;
    this.afterScope = facts.afterScope;
    this.delegated = facts.delegated;
    this.durationMs = facts.durationMs;
    this.attempts = Object.freeze(facts.attempts);
    this.status = facts.status;
    this.error = facts.error && shownError(facts.error);
    this.requestId = facts.requestId;
    this.inboundRequestId = facts.inboundRequestId;
    this.traceId = facts.traceId ?? facts.context?.traceId;
    const { entries } = facts;
    const resource = resourceKey(answer);
    const found = entries || resource.type !== 'Bundle' ? undefined : returnedResources(answer);
    this.entries = entries && groupedEntries(entries, answer);
    this.returned = found?.returned;
    this.#facts = facts;
    this.#resource = resource.type !== undefined && resource.type === facts.resourceType ? resource : undefined;
    this.#references = entries ? entryReferences(entries, answer) : (found?.references ?? []);
    Object.freeze(this);
  }

  get clientId(): string {
    return this.#facts.clientId;
  }

  get baseUrl(): string {
    return this.#facts.baseUrl;
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
    return this.#facts.resourceId ?? this.#resource?.id;
  }

  get resourceVersion(): string | undefined {
    return this.#resource?.version;
  }

  get references(): readonly string[] {
    return this.#references;
  }

  get context(): MedplumAuditContext | undefined {
    return this.#facts.context;
  }

  get onBehalfOf(): string | undefined {
    return this.#facts.onBehalfOf;
  }

  get delegation(): RequestEventDelegation | undefined {
    return this.#facts.delegation;
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
    const json: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(this)) {
      if (value !== undefined) {
        json[name] = value;
      }
    }
    json['startedAt'] = this.startedAt.toISOString();
    json['endedAt'] = this.endedAt.toISOString();
    return json;
  }

  toPhiAudit(options: { readonly includeQuery?: boolean } = {}): Record<string, unknown> {
    const { path, resourceId, resourceVersion, references, onBehalfOf, reason, context, query, clientId, baseUrl } =
      this;
    const { delegation } = this;
    return {
      ...this.toJSON(),
      clientId,
      baseUrl,
      path,
      resourceId,
      resourceVersion,
      references,
      onBehalfOf,
      ...(delegation ? { delegation } : {}),
      reason,
      context,
      ...(options.includeQuery ? { query } : {}),
      attempts: this.attempts.map((attempt) => ({ ...attempt, onBehalfOf: attempt.onBehalfOf })),
    };
  }

  [inspect.custom](): string {
    return `RequestEvent ${inspect(this.toJSON())}`;
  }
}

function shownError(error: MedplumError): RequestEventError {
  const { name, code } = error;
  return Object.freeze(error instanceof DelegationError ? { name, code, reason: error.reason } : { name, code });
}

function outcomeOf({ pending, error, attempts }: RequestFacts): RequestOutcome {
  if (pending) {
    return 'pending';
  }
  if (!error) {
    return 'success';
  }
  return attempts.length === 0 ? 'refused' : 'error';
}
