import { MedplumProtocolError } from '../errors/response.errors';
import type { Deadline } from './deadline';
import { DownloadStream } from './download-stream';
import { requestIdOf } from './response-error';
import type { TransportRequest, TransportResponse } from './transport.types';
import type { WireAnswer } from './wire';

const JSON_TYPE = /[/+]json\b/i;

/**
 * A successful answer, as the request wants it.
 *
 * @throws MedplumProtocolError when its body is not what the request expects; MedplumContentTooLargeError when a stream
 * declares more than the request allows.
 */
export function readAnswer(request: TransportRequest, answer: WireAnswer, deadline: Deadline): TransportResponse {
  const { status, text } = answer;
  const header = (name: string): string | undefined => answer.header(name);
  const requestId = requestIdOf(header('x-request-id'), undefined);
  if (answer.stream) {
    const { call, maxBytes, timeout } = request;
    const limits = { call, maxBytes, timeout };
    const body = new DownloadStream(answer.stream, header('content-length'), deadline, limits);
    return { status, body, requestId, header };
  }
  if (status === 304) {
    return { status, body: undefined, requestId, header };
  }
  const saysJson = JSON_TYPE.test(header('content-type') ?? '');
  if (request.answer === 'any' && !saysJson) {
    return { status, body: text === '' ? undefined : text, requestId, header };
  }
  const writes = request.repeatability !== 'safe';
  // A page may come from a proxy or from another server: its status says nothing of the write.
  const done = saysJson ? 'happened' : 'unknown';
  const problem = (what: string, cause?: unknown): MedplumProtocolError =>
    new MedplumProtocolError(`${request.call} was answered with ${status}, but the body is ${what}.`, {
      status,
      effect: writes ? done : 'none',
      cause,
    });
  let body: unknown;
  if (text !== '') {
    try {
      body = JSON.parse(text);
    } catch (cause) {
      throw problem('no JSON', cause);
    }
  }
  // An empty body is an answer to a write: 204, or Prefer: return=minimal.
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
  if (!isObject && request.answer !== 'any' && (text !== '' || !writes)) {
    throw problem('no JSON object');
  }
  return { status, body, requestId, header };
}
