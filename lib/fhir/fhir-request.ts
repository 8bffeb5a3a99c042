import type { MedplumError } from '../errors/medplum.error';
import type { HttpBody, HttpMethod, Repeatability, ResponseKind, SignedHost } from '../shared/request.types';

/** What a call does, in the terms of FHIR's RESTful API (R4 section 3.1.0). `raw` is a path that the caller chose. */
export type FhirAction =
  | 'read'
  | 'vread'
  | 'history'
  | 'search'
  | 'create'
  | 'update'
  | 'patch'
  | 'delete'
  | 'batch'
  | 'transaction'
  | 'operation'
  | 'raw';

/** What is known about a call before its arguments are checked. */
export interface FhirInteraction {
  readonly action: FhirAction;
  readonly method: HttpMethod;
  /** Path with a leading slash, and with `{type}` and `{id}` in place of values. */
  readonly pathTemplate: string;
}

/** Describes one request: its request line, headers and body, and what its audit event records. */
export interface FhirRequest extends FhirInteraction {
  /** Path relative to the base URL, without a leading slash and without the query. */
  readonly path: string;
  /** Encoded query without `?`; empty if there is none. */
  readonly query: string;
  /** Signed address to fetch instead of `path`, without credentials and identity. It is a secret: nothing shows it. */
  readonly signedUrl?: URL;
  /** The address that the server signed, if it is not that of `signedUrl`. */
  readonly signedFor?: SignedHost;
  /** The query that the event records, if it is not in the URL. */
  readonly eventQuery?: string;
  readonly resourceType?: string;
  readonly resourceId?: string;
  /** Name of the FHIR operation, with its `$`. */
  readonly operation?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: HttpBody;
  /** The entries of a batch or transaction; the audit event summarises them. */
  readonly entries?: readonly unknown[];
  readonly repeatability: Repeatability;
  /** The body can be read only once, so the request is never retried. */
  readonly once?: true;
  /** How the response is read. Default: as a JSON object. */
  readonly responseKind?: ResponseKind;
  /** The caller gets a 304 as a response, not as an error. */
  readonly notModified?: true;
  /** Returns the error that the body of a 2xx response amounts to, or `undefined` if it is fine. */
  readonly check?: (body: unknown) => MedplumError | undefined;
  /** For streamed responses: most bytes to read. */
  readonly maxBytes?: number;
  /**
   * What a response of success must be: the resource of `resourceType` and `resourceId` (`instance`), any resource of
   * `resourceType`, a Bundle, or anything but nothing (`body`). Default: whatever the server returns.
   */
  readonly expects?: 'instance' | 'resource' | 'bundle' | 'body';
  /** The library's own bulk export, the one request that may be asynchronous with an identity. */
  readonly respondAsync?: true;
  /** `false` withholds `X-Medplum: extended` from this request. */
  readonly extended?: false;
}
