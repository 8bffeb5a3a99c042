import type { Fault } from '../../support/fault-matrix';
import { FAULTS } from '../../support/wire-faults';
import type { WireHandler } from '../../support/wire-server';
import { ARRIVES_WITHIN, expected } from './expected';

/** Sends a body piece by piece, and never ends. */
const trickle: WireHandler = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/fhir+json' });
  const timer = setInterval(() => response.write(' '), 10);
  response.once('close', () => clearInterval(timer));
  return undefined;
};

/** Servers that take too long. */
export const SLOWNESS: readonly Fault[] = [
  {
    name: 'hang, until the timeout',
    options: { timeout: ARRIVES_WITHIN },
    handler: () => FAULTS.hang,
    attempts: ['TIMEOUT'],
    error: { phase: 'total' },
    expected: expected(
      '1 request: MedplumTimeoutError, none, retryable',
      '1 request: MedplumTimeoutError, unknown, retryable',
      '1 request: MedplumTimeoutError, unknown',
    ),
  },
  {
    name: 'hang, until headersTimeout',
    options: { headersTimeout: 60, retry: { maxRetries: 1 } },
    handler: () => FAULTS.hang,
    attempts: ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT'],
    error: { phase: 'headers' },
    expected: expected(
      '2 requests: MedplumTimeoutError, none, retryable',
      '2 requests: MedplumTimeoutError, unknown, retryable',
      '1 request: MedplumTimeoutError, unknown',
    ),
  },
  {
    name: 'slow body, until the timeout',
    options: { timeout: ARRIVES_WITHIN },
    handler: () => trickle,
    attempts: ['200 TIMEOUT'],
    error: { phase: 'total' },
    expected: expected(
      '1 request: MedplumTimeoutError 200, none, retryable',
      '1 request: MedplumTimeoutError 200, happened',
      '1 request: MedplumTimeoutError 200, happened',
    ),
  },
  {
    name: 'body that stalls, until bodyTimeout',
    options: { bodyTimeout: 60, retry: { maxRetries: 1 } },
    handler: () => FAULTS['hang in the body'],
    attempts: ['200 UND_ERR_BODY_TIMEOUT', '200 UND_ERR_BODY_TIMEOUT'],
    error: { phase: 'body' },
    expected: expected(
      '2 requests: MedplumTimeoutError 200, none, retryable',
      '1 request: MedplumTimeoutError 200, happened',
      '1 request: MedplumTimeoutError 200, happened',
    ),
  },
  {
    name: 'hang, until the caller aborts',
    handler: () => FAULTS.hang,
    play: async ({ app, call, abort }) => {
      const ended = call();
      await app.wire.received(1);
      abort();
      await ended;
    },
    attempts: ['ABORTED'],
    expected: expected(
      '1 request: MedplumAbortError, none',
      '1 request: MedplumAbortError, unknown',
      '1 request: MedplumAbortError, unknown',
    ),
  },
];
