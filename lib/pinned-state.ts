import type { AuditedCall } from './audit/audit-trail';
import type { CallHost } from './call-host';
import type { MedplumRequestOptions } from './medplum-request.options';
import type { Identity } from './on-behalf-of/identity';
import type { InboundRequest } from './on-behalf-of/inbound-request';

/** @internal What was fixed when a method was called, for all requests that it makes. */
export interface PinnedState {
  readonly host: CallHost;
  readonly options: MedplumRequestOptions;
  /** Those of the caller, with lower-case names. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  /** The HTTP request that the caller serves. */
  readonly inbound: InboundRequest | undefined;
  readonly audited: AuditedCall;
  /** When the method was called, by the monotonic clock, if its timeout is for all of its requests together. */
  readonly wholeSince: number | undefined;
  /** Why no request of the method is made. */
  readonly refusal: unknown;
  /** Whom the requests are made for; `undefined`: for nobody, which is refused. */
  identity: Identity | undefined;
  readonly operationId: string;
}
