import type { IncomingHttpHeaders } from 'node:http';
import type { MedplumServerVersion } from './emulator.types';
import type { Answer } from './exchange';

/** What the headers that differ between versions depend on. */
export interface VersionContext {
  readonly serverVersion: MedplumServerVersion;
  readonly headers: IncomingHttpHeaders;
  readonly query: string;
  readonly requestId: string;
  readonly traceId: string;
}

/** Strips `/api`, and on newer servers a project's prefix. The older server does not know such a prefix. */
export function withoutProjectPrefix(path: string, serverVersion: MedplumServerVersion): string {
  const api = path.replace(/^\/api(?=\/fhir\/)/, '');
  return serverVersion === '5.0' ? api : api.replace(/^(\/api)?\/projects\/[\da-f-]{36}(?=\/)/, '');
}

/** Whether the log tag is valid: 1 to 128 printable ASCII characters. Only newer servers read it. */
export function hasValidLogTag(headers: IncomingHttpHeaders, serverVersion: MedplumServerVersion): boolean {
  const tag = headers['x-medplum-log-tag'];
  return serverVersion === '5.0' || tag === undefined || (typeof tag === 'string' && /^[ -~]{1,128}$/.test(tag));
}

/** Adds the headers that differ between versions: the ids of the request, and the challenge of a 401. */
export function withVersionHeaders(answer: Answer, context: VersionContext): Answer {
  const { serverVersion, headers, query, requestId, traceId } = context;
  const isNewer = serverVersion !== '5.0';
  const promptsBasic = query.includes('_medplum-prompt-basic-auth=1');
  const scheme = headers.authorization?.startsWith('Basic ') || promptsBasic ? 'Basic' : 'Bearer';
  const challenge = answer.status === 401 && (isNewer || promptsBasic);
  return {
    ...answer,
    headers: {
      ...answer.headers,
      ...(isNewer && { 'x-request-id': requestId, 'x-trace-id': traceId }),
      ...(challenge && { 'www-authenticate': `${scheme} realm="Medplum"` }),
    },
  };
}
