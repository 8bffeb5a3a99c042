import { gate } from './gate';
import { outcome, type WireHandler } from './wire-server';

const JSON_TYPE = { 'content-type': 'application/fhir+json' };
const TEXT = '{"resourceType":"Patient","id":"1"}';

/** A status with an OperationOutcome of the resource stage. */
const refuse =
  (status: number, code = 'some-code'): WireHandler =>
  () => ({ status, body: outcome(code, code, 'Some text') });

/** Ways in which a server, or the network before it, can fail a request. */
export const FAULTS = {
  'reset before headers': () => ({ destroy: true }),
  'reset in the body': (_request, response) => {
    response.writeHead(200, { ...JSON_TYPE, 'content-length': TEXT.length });
    response.write(TEXT.slice(0, 10), () => response.socket?.resetAndDestroy());
    return undefined;
  },
  'truncated body': (_request, response) => {
    response.writeHead(200, { ...JSON_TYPE, 'content-length': TEXT.length });
    response.write(TEXT.slice(0, 10), () => response.socket?.end());
    return undefined;
  },
  'truncated chunks': (_request, response) => {
    response.writeHead(200, JSON_TYPE);
    response.write(TEXT.slice(0, 10), () => response.socket?.end());
    return undefined;
  },
  hang: () => undefined,
  'hang in the body': (_request, response) => {
    response.writeHead(200, JSON_TYPE);
    response.write(TEXT.slice(0, 10));
    return undefined;
  },
  '429': refuse(429, 'throttled'),
  '409 40001': () => ({
    status: 409,
    body: {
      ...outcome('conflict', 'conflict', 'could not serialize access due to concurrent update'),
      issue: [{ severity: 'error', code: 'conflict', details: { coding: [{ code: '40001' }] } }],
    },
  }),
  '409': refuse(409, 'conflict'),
  '500': refuse(500),
  '502': refuse(502),
  '503': refuse(503),
  '504': () => ({ status: 504, headers: { 'content-type': 'text/html' }, body: '<h1>504</h1>' }),
  'no JSON': () => ({ headers: { 'content-type': 'text/html' }, body: '<h1>Welcome</h1>' }),
} as const satisfies Record<string, WireHandler>;

export type Fault = keyof typeof FAULTS;

/** A handler that never responds; `arrived` resolves with its first request. */
export function hanging(): { readonly handler: WireHandler; readonly arrived: Promise<void> } {
  const { open, opened } = gate();
  return {
    arrived: opened,
    handler: () => {
      open();
      return undefined;
    },
  };
}
