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

/** A resource as the store keeps it: with id and meta. */
export type StoredResource = Resource & { id: string; meta: Meta };

/**
 * Which Medplum release the emulator answers like, where old and new differ (identity errors, `If-Match`,
 * `WWW-Authenticate`, response ids). `'5.0'` is the recorded server; `'5.2'` follows the newer sources.
 */
export type MedplumServerVersion = '5.0' | '5.2';

/** How often a caller may ask, per minute. The header `RateLimit` counts down from these; 429 when one is used up. */
export interface EmulatorRateLimits {
  /** Requests per minute of one remote address. Default: no practical limit. */
  requests?: number;
  /** Requests to `/auth` and `/oauth2` per minute of one remote address. Default: no practical limit. */
  authRequests?: number;
  /** FHIR points per minute of one client: read 1, history 10, search 20, write 100. Default: no practical limit. */
  fhirPoints?: number;
}

/** What a request's `Authorization` header held. */
export type EmulatorAuthKind = 'none' | 'basic' | 'bearer' | 'other';

/** One request as the emulator received it. Never holds a secret: no token, no body, no signed URL. */
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
  /** Status of the answer; `undefined` until the answer is sent, and when a fault cut the connection before it. */
  readonly status: number | undefined;
}
