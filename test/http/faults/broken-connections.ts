import type { Fault } from '../../support/fault-matrix';
import { FAULTS } from '../../support/wire-faults';
import type { WireHandler } from '../../support/wire-server';
import { BROKE, BROKEN, expected, inTurn, ok, TEXT, twice } from './expected';

const resetAfterHeaders: WireHandler = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/fhir+json', 'content-length': TEXT.length });
  response.flushHeaders();
  setImmediate(() => response.socket?.resetAndDestroy());
  return undefined;
};

/** A body that ends where the connection ends, as HTTP/1.0 has it: too early here, which nobody can tell. */
const untilClose: WireHandler = (_request, response) => {
  response.removeHeader('transfer-encoding');
  response.writeHead(200, { 'content-type': 'application/fhir+json', connection: 'close' });
  response.end(TEXT.slice(0, 10));
  return undefined;
};

/** How attempts end that were cut off behind the status line. */
const CUT = /^200 (?:ECONNRESET|EPIPE|UND_ERR_SOCKET|UND_ERR_RES_CONTENT_LENGTH_MISMATCH|HPE_\w+)$/;
const CUT_OFF = expected(
  '3 requests: MedplumProtocolError 200, none, retryable',
  // The status line said that it is done.
  '1 request: MedplumProtocolError 200, happened',
  '1 request: MedplumProtocolError 200, happened',
);

/** Connections that break. */
export const BROKEN_CONNECTIONS: readonly Fault[] = [
  {
    name: 'reset before the request was read',
    handler: () => ok,
    play: ({ app, call }) => {
      app.wire.resetsAtHead = true;
      return call();
    },
    attempts: [BROKE, BROKE, BROKE],
    expected: BROKEN,
  },
  {
    name: 'reset when the whole request was read',
    handler: () => FAULTS['reset before headers'],
    attempts: [BROKE, BROKE, BROKE],
    expected: BROKEN,
  },
  {
    name: 'reset on a connection that was in use before',
    handler: () => inTurn(ok, FAULTS['reset before headers']),
    play: twice,
    attempts: ['200', BROKE, BROKE, BROKE],
    expected: expected(
      '4 requests: answered, none + MedplumConnectionError, none, retryable',
      '4 requests: answered, happened + MedplumConnectionError, unknown, retryable',
      '2 requests: answered, happened + MedplumConnectionError, unknown',
    ),
  },
  {
    name: 'reset once',
    handler: () => inTurn(FAULTS['reset before headers'], ok),
    attempts: [BROKE, '200'],
    expected: expected(
      '2 requests: answered, none',
      '2 requests: answered, happened',
      '1 request: MedplumConnectionError, unknown',
    ),
  },
  {
    name: 'reset after the headers',
    handler: () => resetAfterHeaders,
    attempts: [CUT, CUT, CUT],
    expected: CUT_OFF,
  },
  {
    name: 'reset in the body',
    handler: () => FAULTS['reset in the body'],
    attempts: [CUT, CUT, CUT],
    expected: CUT_OFF,
  },
  {
    name: 'body shorter than its Content-Length',
    handler: () => FAULTS['truncated body'],
    attempts: [CUT, CUT, CUT],
    expected: CUT_OFF,
  },
  {
    name: 'body without its last chunk',
    handler: () => FAULTS['truncated chunks'],
    attempts: [CUT, CUT, CUT],
    expected: CUT_OFF,
  },
  {
    name: 'body cut short, of no declared length',
    handler: () => untilClose,
    attempts: ['200'],
    expected: expected(
      '1 request: MedplumProtocolError 200, none',
      '1 request: MedplumProtocolError 200, happened',
      '1 request: MedplumProtocolError 200, happened',
    ),
  },
];
