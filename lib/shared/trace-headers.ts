/** W3C Trace Context, sections 3.2.2 and 3.2.3: lower case, no field of zeros, and `ff` is no version. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;

const TRACE_ID = /^(?:[\da-f]{32}|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/i;

/** What ids of requests look like (UUID, ULID, ids of load balancers). Anything else may be a text, or break a log. */
const REQUEST_ID = /^[\w.:+=-]{1,128}$/;

/**
 * Those of `headers` (lower-case names) by which requests are traced, and that are well-formed: W3C's `traceparent`, whose
 * trace id Medplum takes over into its logs, and `x-request-id`. Anybody may have written them, for any purpose.
 */
export function traceHeadersOf(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Readonly<Record<string, string>> | undefined {
  const { traceparent, 'x-request-id': requestId } = headers;
  const trace = {
    ...(matches(traceparent, TRACEPARENT) ? { traceparent } : undefined),
    ...(matches(requestId, REQUEST_ID) ? { 'x-request-id': requestId } : undefined),
  };
  return Object.keys(trace).length > 0 ? trace : undefined;
}

/** The trace id that the headers (lower-case names) name: that of W3C's `traceparent`, else Medplum's `X-Trace-Id`. */
export function traceIdOf(headers: Readonly<Record<string, string>>): string | undefined {
  const { traceparent, 'x-trace-id': traceId } = headers;
  const id = (traceparent === undefined ? undefined : TRACEPARENT.exec(traceparent)?.[1]) ?? traceId;
  return isTraceId(id) ? id : undefined;
}

/** Whether `value` is a trace id: 32 hexadecimal digits, or a UUID. */
export function isTraceId(value: unknown): value is string {
  return matches(value, TRACE_ID);
}

function matches(value: unknown, form: RegExp): value is string {
  return typeof value === 'string' && form.test(value);
}
