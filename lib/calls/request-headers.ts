import type { FhirRequest } from '../fhir/fhir-request';
import type { CallSpan } from '../http/call-tracing';
import { traceIdOf } from '../shared/trace-headers';
import type { CallContext } from './call-context';
import { callerHeaders } from './caller-headers';

/**
 * @internal The request with all its headers, except those that the library owns. The caller's headers win over those of
 * the client and of the inbound request.
 *
 * @throws MedplumBadRequestError when the caller gives a header that the request sets itself.
 */
export function withHeaders(request: FhirRequest, context: CallContext, span: CallSpan | undefined): FhirRequest {
  const { logTag } = context.connection.settings;
  const { headers } = context;
  return {
    ...request,
    headers: {
      ...(logTag === undefined ? undefined : { 'x-medplum-log-tag': logTag }),
      ...traceHeaders(context, span),
      ...request.headers,
      ...(headers && callerHeaders(headers, request.headers)),
    },
  };
}

/** @internal Tells the server which trace and which inbound request it serves. A trace that the caller names wins. */
export function traceHeaders(
  { inbound, headers }: CallContext,
  span: CallSpan | undefined,
): Readonly<Record<string, string>> | undefined {
  const known = inbound?.trace;
  if (headers && ('traceparent' in headers || traceIdOf(headers) !== undefined)) {
    const { traceparent: _named, ...others } = known ?? {};
    return others;
  }
  return span ? { ...known, ...span.headers } : known;
}
