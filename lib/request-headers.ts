import { traceIdOf } from './audit/audit-context';
import type { FhirRequest } from './fhir/fhir-request';
import type { CallSpan } from './http/call-tracing';
import { callerHeaders } from './http/caller-headers';
import type { PinnedState } from './pinned-state';

/**
 * @internal All headers of a request but those that the library owns. Those of the client and of the inbound request
 * give way to the others.
 *
 * @throws MedplumBadRequestError for a header of the caller that this request sets itself.
 */
export function requestHeaders(
  request: FhirRequest,
  pinned: PinnedState,
  span: CallSpan | undefined,
): Readonly<Record<string, string>> {
  const { logTag } = pinned.host;
  const { headers } = pinned;
  const trace = traceHeaders(pinned, span);
  if (logTag === undefined && !trace && !headers) {
    return request.headers;
  }
  return {
    ...(logTag === undefined ? undefined : { 'x-medplum-log-tag': logTag }),
    ...trace,
    ...request.headers,
    ...(headers && callerHeaders(headers, request.headers)),
  };
}

/** @internal What tells the server which trace and which inbound request it serves. A trace that the caller names is left alone. */
export function traceHeaders(
  { inbound, headers }: PinnedState,
  span: CallSpan | undefined,
): Readonly<Record<string, string>> | undefined {
  const known = inbound?.trace;
  if (headers && ('traceparent' in headers || traceIdOf(headers) !== undefined)) {
    const { traceparent: _named, ...others } = known ?? {};
    return others;
  }
  return span ? { ...known, ...span.headers } : known;
}
