import type { AuditTrail } from './audit/audit-trail';
import type { MedplumBeforeRequest } from './before-request';
import type { FhirRequest } from './fhir/fhir-request';
import type { BaseUrl } from './http/base-url';
import type { CallTracing } from './http/call-tracing';
import type { RunningCalls } from './http/running-calls';
import type { RequestAttempt } from './http/request-attempt';
import type { TransportRequest, TransportResponse } from './http/transport.types';
import type { Identity } from './on-behalf-of/identity';

/** @internal What calls need of the connection that they are made on. */
export interface CallHost {
  readonly name: string;
  readonly clientId: string;
  readonly baseUrl: BaseUrl;
  readonly trail: AuditTrail;
  readonly tracing: CallTracing;
  /** Calls that are under way, but not those of sinks. */
  readonly running: RunningCalls;
  /** Default time limit of a call, in ms. */
  readonly timeout: number;
  readonly extended: boolean;
  /** Value of `X-Medplum-Log-Tag`, where the call names none. */
  readonly logTag: string | undefined;
  readonly beforeRequest: MedplumBeforeRequest | undefined;
  /** Safe calls end when the client of the inbound request goes away. */
  readonly abortOnDisconnect: boolean;
  /** The identity under the name that the membership check found for it; `undefined` when nothing is checked. */
  vet(identity: Identity): Promise<Identity> | undefined;
  /** Called with the identity of each request before it is sent. */
  sending(identity: Identity): void;
  transmit(request: FhirRequest, wire: TransportRequest, attempts: RequestAttempt[]): Promise<TransportResponse>;
}
