import type { CallName, Fault } from '../../support/fault-matrix';
import { outcome, type WireAnswer, type WireHandler } from '../../support/wire-server';

/** Long enough, in ms, for a request to arrive on a busy machine. */
export const ARRIVES_WITHIN = 800;

/** What is to come of each call, by what may be done with it when its fate is unknown. */
export function expected(safe: string, recognised: string, unsafe: string): Record<CallName, string> {
  return {
    GET: safe,
    POST: unsafe,
    PUT: unsafe,
    'POST if none has its identifier': recognised,
    'POST if none has its name': unsafe,
  };
}

/** The same is to come of every call. */
export function all(text: string): Record<CallName, string> {
  return expected(text, text, text);
}

/** The request may have been carried out, or not. */
export const BROKEN = expected(
  '3 requests: MedplumConnectionError, none, retryable',
  '3 requests: MedplumConnectionError, unknown, retryable',
  '1 request: MedplumConnectionError, unknown',
);

/** Nothing left, so everything is tried again, and nothing happened. */
export const UNREACHABLE = all('0 requests: MedplumConnectionError, none, retryable');

/** Codes of connections that broke: which one it is depends on the system, and on what it was doing. */
export const BROKE = /^(?:ECONNRESET|EPIPE|UND_ERR_SOCKET)$/;

/** A resource. */
export const TEXT = '{"resourceType":"Patient","id":"1"}';

/** Answers well. */
export const ok: WireHandler = () => ({ body: TEXT });

/** Answers with an OperationOutcome. */
export function answer(status: number, headers: WireAnswer['headers'] = {}): WireHandler {
  return () => ({ status, headers, body: outcome('some-id', 'some-code', 'Some text') });
}

/** Answers with a page. */
export function html(status: number): WireHandler {
  return () => ({ status, headers: { 'content-type': 'text/html' }, body: '<h1>Sign in</h1>' });
}

/** Answers the first request by the first handler, and so on; the last one answers all that follow. */
export function inTurn(...handlers: readonly WireHandler[]): WireHandler {
  let turn = 0;
  return (request, response) => handlers[Math.min(turn++, handlers.length - 1)]?.(request, response);
}

/** Two calls, one after the other. */
export const twice: Fault['play'] = async ({ call }) => {
  await call();
  await call();
};
