import { type MedplumAuditContext, traceIdOf } from './audit/audit-context';
import type { RequestedEntry } from './audit/bundle-summary';
import type { RequestFacts } from './audit/recorded-request-event';
import type { MedplumError } from './errors/medplum.error';
import type { FhirInteraction, FhirRequest } from './fhir/fhir-request';
import type { BaseUrl } from './http/base-url';
import type { TransportResponse } from './http/transport.types';
import type { RequestAttempt } from './http/request-attempt';
import type { Identity } from './on-behalf-of/identity';

/** @internal The client that makes a call. */
export interface CallingClient {
  readonly name: string;
  readonly clientId: string;
  readonly baseUrl: BaseUrl;
}

/** @internal What is known of a call beside its answer. */
export interface KnownCall {
  readonly id: string | undefined;
  readonly operationId: string;
  /** What the event says of the request when its arguments were refused. */
  readonly interaction: FhirInteraction;
  readonly request: FhirRequest | undefined;
  readonly identity: Identity | undefined;
  /** All but those of the library, with lower-case names. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly inboundRequestId: string | undefined;
  readonly attempts: readonly RequestAttempt[];
  readonly entries: readonly RequestedEntry[] | undefined;
  readonly context: MedplumAuditContext | undefined;
  /** `Date.now()` when the call began. */
  readonly startedAt: number;
  readonly durationMs: number;
}

/** @internal What the event of a call is made of. The error of the call learns which call it is about. */
export function callFacts(
  client: CallingClient,
  call: KnownCall,
  response: TransportResponse | undefined,
  error: MedplumError | undefined,
): RequestFacts {
  const { request, identity, headers } = call;
  // What refused arguments leave unsaid is filled in from the interaction.
  const { action, method, pathTemplate } = request ?? call.interaction;
  const path = request ? `/${request.path}` : pathTemplate;
  const [onBehalfOf, identitySource] = [identity?.onBehalfOf, identity?.source];
  error?.attachRequest({ client: client.name, method, path, pathTemplate, onBehalfOf, identitySource });
  return {
    id: call.id,
    operationId: call.operationId,
    client: client.name,
    clientId: client.clientId,
    baseUrl: client.baseUrl.origin + client.baseUrl.path,
    action,
    method,
    pathTemplate,
    path,
    query: request?.eventQuery ?? request?.query ?? '',
    resourceType: request?.resourceType,
    resourceId: request?.resourceId,
    operation: request?.operation,
    onBehalfOf,
    identitySource,
    reason: identity?.reason,
    startedAt: call.startedAt,
    durationMs: call.durationMs,
    attempts: call.attempts,
    status: response?.status ?? error?.status,
    requestId: response?.requestId ?? error?.requestId,
    effect: error?.effect ?? (request?.repeatability === 'safe' ? 'none' : 'happened'),
    error,
    inboundRequestId: call.inboundRequestId,
    traceId: headers && traceIdOf(headers),
    context: call.context,
    entries: call.entries,
    answer: response?.body,
  };
}
