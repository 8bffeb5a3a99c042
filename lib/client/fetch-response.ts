import { Readable } from 'node:stream';
import { isMedplumError } from '../errors/medplum.error';
import { isResponseError } from '../http/response-error';
import type { TransportResponse } from '../http/transport.types';

/** Response headers that are passed on. */
const PASSED_ON = [
  'content-disposition',
  'content-location',
  'content-type',
  'etag',
  'last-modified',
  'location',
  'ratelimit',
  'retry-after',
  'x-request-id',
];

/** Statuses whose responses have no body (Fetch standard, "null body status"). */
const WITHOUT_BODY = new Set([204, 205, 304]);

/** A WHATWG `Response` for what the server answered. */
export function fetchResponse({ status, body, header }: TransportResponse): Response {
  const headers = new Headers();
  for (const name of PASSED_ON) {
    const value = header(name);
    if (value !== undefined) {
      headers.set(name, value);
    }
  }
  if (!(body instanceof Readable)) {
    return new Response(null, { status, headers });
  }
  if (WITHOUT_BODY.has(status)) {
    body.resume();
    return new Response(null, { status, headers });
  }
  return new Response(Readable.toWeb(body), { status, headers });
}

/**
 * The `Response` for an error status that the server answered to this call. Rethrows every other error, those of the
 * token endpoint and of the membership check included: `fetch` rejects only without a response.
 */
export function fetchErrorResponse(error: unknown): Response {
  if (!isMedplumError(error) || !isResponseError(error)) {
    throw error;
  }
  const { status, outcome } = error;
  // A `Response` holds no other status (Fetch standard, section 5.5).
  if (status === undefined || status < 200 || status > 599) {
    throw error;
  }
  return outcome && !WITHOUT_BODY.has(status)
    ? Response.json(outcome, { status, headers: { 'content-type': 'application/fhir+json' } })
    : new Response(null, { status });
}
