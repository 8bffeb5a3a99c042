import type { MedplumError } from '../errors/medplum.error';
import type { AnswerKind, Repeatability } from '../http/transport.types';
import type { MedplumDispatcherRequest } from '../http/medplum-dispatcher';

/** What a call does, in the words of FHIR's RESTful API (R4 section 3.1.0); `raw` for a path of the caller's own. */
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

/** What is known of a call before its arguments are looked at. */
export interface FhirInteraction {
  readonly action: FhirAction;
  readonly method: MedplumDispatcherRequest['method'];
  /** With a leading slash, `{type}` and `{id}` in place of values. */
  readonly pathTemplate: string;
}

/** One call, described: what goes into the request line, the headers and the body, and what the audit event says. */
export interface FhirRequest extends FhirInteraction {
  /** Relative to the base URL, without a leading slash and without the query. */
  readonly path: string;
  /** Encoded, without `?`; empty when there is none. */
  readonly query: string;
  /** A signed address, fetched without credentials and identity in place of `path`. Never shown. */
  readonly signedUrl?: URL;
  /** What the event says of the query, when it is not in the URL. */
  readonly eventQuery?: string;
  readonly resourceType?: string;
  readonly resourceId?: string;
  /** Name of the FHIR operation, with its `$`. */
  readonly operation?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: NonNullable<MedplumDispatcherRequest['body']>;
  /** Of a batch or transaction: its entries, of which the audit event says what they are. */
  readonly entries?: readonly unknown[];
  readonly repeatability: Repeatability;
  /** The body can be read once only: nothing is repeated. */
  readonly once?: true;
  /** How the answer is read. Default: a JSON object. */
  readonly answer?: AnswerKind;
  /** A 304 is an answer to be handed on, not an error. */
  readonly notModified?: true;
  /** What is wrong with an answer of 2xx, if anything is. */
  readonly check?: (body: unknown) => MedplumError | undefined;
  /** For streamed answers: the most bytes that are read. */
  readonly maxBytes?: number;
  /** `false` withholds `X-Medplum: extended` from this request. */
  readonly extended?: false;
}
