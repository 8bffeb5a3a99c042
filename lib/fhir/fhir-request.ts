import type { Repeatability } from '../http/medplum-transport';
import type { MedplumDispatcherRequest } from '../http/medplum-dispatcher';

/** What a call does, in the words of FHIR's RESTful API (R4 section 3.1.0). */
export type FhirAction = 'read' | 'search' | 'create' | 'update' | 'patch' | 'delete' | 'batch' | 'transaction';

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
  readonly resourceType?: string;
  readonly resourceId?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly repeatability: Repeatability;
  /** `false` withholds `X-Medplum: extended` from this request. */
  readonly extended?: false;
}
