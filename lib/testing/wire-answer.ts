import type { IncomingMessage, ServerResponse } from 'node:http';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { RecordedRequest } from './emulator.types';
import { FHIR_JSON, type Answer } from './exchange';
import type { Fault } from './faults';

/** An entry of the request log. Its status is filled in when the response is sent. */
export type Logged = { -readonly [K in keyof RecordedRequest]: RecordedRequest[K] };

/** The response that a fault puts in place of the emulator's own. */
export function faultAnswer(fault: Fault | undefined): Answer | undefined {
  if (fault?.redirect !== undefined) {
    return { status: fault.status ?? 307, headers: { ...fault.headers, location: fault.redirect } };
  }
  if (fault?.status === undefined) {
    return undefined;
  }
  const { status, headers = {}, body } = fault;
  const outcome = {
    resourceType: 'OperationOutcome',
    issue: [{ severity: 'error', code: 'exception', details: { text: `Injected fault: ${status}` } }],
  };
  return {
    status,
    contentType: fault.contentType ?? FHIR_JSON,
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body ?? outcome),
  };
}

/** Size in bytes below which bodies are sent uncompressed. */
const MIN_COMPRESSED = 1024;

function compress(body: Buffer, accepted: string): { body: Buffer; encoding?: string } {
  if (body.length < MIN_COMPRESSED) {
    return { body };
  }
  if (/\bbr\b/.test(accepted)) {
    return { body: brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }), encoding: 'br' };
  }
  return /\bgzip\b/.test(accepted) ? { body: gzipSync(body, { level: 1 }), encoding: 'gzip' } : { body };
}

/** Sends a response, as far as the fault lets it through. */
export function sendAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  entry: Logged,
  answer: Answer,
  fault: Fault | undefined,
): void {
  if (fault?.hang) {
    return;
  }
  if (fault?.reset === 'before-answer') {
    request.socket.resetAndDestroy();
    return;
  }
  const plain = typeof answer.body === 'string' ? Buffer.from(answer.body) : (answer.body ?? Buffer.alloc(0));
  const { body, encoding } = compress(plain, request.headers['accept-encoding'] ?? '');
  const headers: Record<string, string | readonly string[]> = {
    'cache-control': 'no-store, no-cache, must-revalidate',
    ...(encoding && { 'content-encoding': encoding, vary: 'accept-encoding' }),
    ...answer.headers,
    ...fault?.headers,
  };
  const contentType = fault?.contentType ?? answer.contentType;
  if (contentType) {
    headers['content-type'] = contentType;
  }
  if (answer.status !== 304) {
    headers['content-length'] = String(body.length);
  }
  entry.status = answer.status;
  for (const [name, value] of Object.entries(headers)) {
    response.setHeader(name, value);
  }
  response.writeHead(answer.status);
  const cut = fault?.truncateAfter ?? (fault?.reset === 'in-body' ? Math.floor(body.length / 2) : undefined);
  if (cut === undefined) {
    response.end(request.method === 'HEAD' ? undefined : body);
    return;
  }
  response.flushHeaders();
  response.write(body.subarray(0, cut), () => {
    if (fault?.reset) {
      request.socket.resetAndDestroy();
    } else {
      request.socket.destroySoon();
    }
  });
}
