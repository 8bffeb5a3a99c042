import { MedplumProtocolError } from '../errors/response.errors';
import type { Deadline } from './deadline';
import { DownloadStream } from './download-stream';
import type { TransportRequest, TransportResponse } from './transport.types';
import type { WireResponse } from './wire';

const JSON_TYPE = /[/+]json\b/i;

/** What the id of a request looks like. Anything else would put text of the server into logs. */
const REQUEST_ID = /^[\w.:-]{1,128}$/;

/** `id`, if it is written like the id of a request. */
export function asRequestId(id: unknown): string | undefined {
  return typeof id === 'string' && REQUEST_ID.test(id) ? id : undefined;
}

/**
 * Reads a successful response as the request wants it.
 *
 * @throws MedplumProtocolError when the body is not what the request expects; MedplumContentTooLargeError when a stream
 * declares more than the request allows.
 */
export function readResponse(request: TransportRequest, response: WireResponse, deadline: Deadline): TransportResponse {
  const { status, stream } = response;
  const header = (name: string): string | undefined => response.header(name);
  const requestId = asRequestId(header('x-request-id'));
  if (stream) {
    const { call, maxBytes, timeout } = request;
    const body = new DownloadStream(stream, header('content-length'), deadline, { call, maxBytes, timeout });
    return { status, body, requestId, header };
  }
  const body = status === 304 ? undefined : bodyOf(request, response);
  return { status, body, requestId, header };
}

function bodyOf(request: TransportRequest, response: WireResponse): unknown {
  if (response.json !== undefined) {
    return response.json;
  }
  const { text } = response;
  const isAny = request.responseKind === 'any';
  const saysJson = JSON_TYPE.test(response.header('content-type') ?? '');
  if (text === '') {
    // A write may have an empty response: 204, or Prefer: return=minimal. So may a job that runs: 202.
    if (isAny || request.repeatability !== 'safe' || response.status === 202) {
      return undefined;
    }
    throw unreadable(request, response, saysJson, 'is empty');
  }
  if (isAny && !saysJson) {
    return text;
  }
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    // Medplum labels whatever a bot returns as JSON, and sends a string as it is, without quotes.
    if (isAny && request.operation === '$execute') {
      return text;
    }
    throw unreadable(request, response, saysJson, 'is not JSON', cause);
  }
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
  if (!isObject && !isAny) {
    throw unreadable(request, response, saysJson, 'is not a JSON object');
  }
  return body;
}

function unreadable(
  { call, repeatability }: TransportRequest,
  { status }: WireResponse,
  saysJson: boolean,
  what: string,
  cause?: unknown,
): MedplumProtocolError {
  // A page that is not JSON may come from a proxy or from another server: its status says nothing about the write.
  const done = saysJson ? 'happened' : 'unknown';
  return new MedplumProtocolError(
    `${call} was answered with ${status}, but the body ${what}. Check that baseUrl is the Medplum server.`,
    { status, effect: repeatability === 'safe' ? 'none' : done, cause },
  );
}
