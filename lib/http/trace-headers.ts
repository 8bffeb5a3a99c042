/** Headers by which requests are traced from one service to the next. */
export interface TraceHeaders {
  /** W3C Trace Context, section 3.2. Medplum takes its trace id over into its logs and answers. */
  readonly traceparent?: string;
  /** The id that a client or a proxy gave the request. */
  readonly 'x-request-id'?: string;
}

/** W3C Trace Context, sections 3.2.2 and 3.2.3: lower case, no field of zeros, and `ff` is no version. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;

/** What ids of requests look like (UUID, ULID, ids of load balancers). Anything else may be a text, or break a log. */
const REQUEST_ID = /^[\w.:+=-]{1,128}$/;

/** Those of `headers` (lower-case names) that are well-formed; the others were written by anybody, for any purpose. */
export function traceHeadersOf(headers: Readonly<Record<string, string | string[] | undefined>>): TraceHeaders {
  const { traceparent, 'x-request-id': requestId } = headers;
  return {
    ...(matches(traceparent, TRACEPARENT) ? { traceparent } : {}),
    ...(matches(requestId, REQUEST_ID) ? { 'x-request-id': requestId } : {}),
  };
}

/** The trace id of a well-formed `traceparent`. */
export function traceIdOfParent(traceparent: string | undefined): string | undefined {
  return traceparent === undefined ? undefined : TRACEPARENT.exec(traceparent)?.[1];
}

function matches(value: unknown, form: RegExp): value is string {
  return typeof value === 'string' && form.test(value);
}
