import type {
  AccessPolicy,
  ClientApplication,
  Meta,
  OperationOutcome,
  Project,
  ProjectMembership,
  Reference,
  Resource,
} from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };

export type { AccessPolicy, ClientApplication, OperationOutcome, Project, ProjectMembership, Reference, Resource };

/** A resource as the store keeps it, with id and meta. */
export type StoredResource = Resource & { id: string; meta: Meta };

/**
 * The Medplum release that the emulator imitates where releases differ (identity errors, `If-Match`, `WWW-Authenticate`,
 * response ids). `'5.0'` is the recorded server. `'5.2'` follows the source code of newer servers.
 */
export type MedplumServerVersion = '5.0' | '5.2';

/** Limits per minute. The `RateLimit` header counts down from them. A request beyond one of them gets 429. */
export interface EmulatorRateLimits {
  /** Requests per minute of one remote address. Default: no practical limit. */
  requests?: number;
  /** Requests to `/auth` and `/oauth2` per minute of one remote address. Default: no practical limit. */
  authRequests?: number;
  /** FHIR points per minute of one client: read 1, history 10, search 20, write 100. Default: no practical limit. */
  fhirPoints?: number;
}

/** The kind of credentials in a request's `Authorization` header. */
export type EmulatorAuthKind = 'none' | 'basic' | 'bearer' | 'other';

/** One request as the emulator received it. It never holds a secret: no token, no body, no signed URL. */
export interface RecordedRequest {
  /** HTTP method in upper case. */
  readonly method: string;
  /** Path as received, without the query, for example `/fhir/R4/Patient/123`. */
  readonly path: string;
  /** Query of a FHIR request as received, without `?`; empty on other routes. */
  readonly query: string;
  /** `X-Medplum-On-Behalf-Of` exactly as received; `undefined` when the header was not sent, `''` when it was sent empty. */
  readonly onBehalfOf: string | undefined;
  /** Kind of the `Authorization` header. */
  readonly auth: EmulatorAuthKind;
  /** Whether `X-Medplum: extended` was sent. */
  readonly extended: boolean;
  /** Status of the response; `undefined` until it is sent, and if a fault cut the connection before that. */
  readonly status: number | undefined;
}
