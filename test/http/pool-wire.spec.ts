import type { Dispatcher } from 'undici';
import { Deadline } from '../../lib/http/deadline';
import { PoolWire } from '../../lib/http/pool-wire';
import { type Wire, WireFailure, type WireRequest } from '../../lib/http/wire';

type Handler = Required<Dispatcher.DispatchHandler>;

const REQUEST: WireRequest = { method: 'GET', path: '/', headers: [], body: undefined, stream: false };
const STREAMING: Wire = { exchange: () => Promise.reject(new Error('not streamed')) };
const abort = () => undefined;

let deadline: Deadline;

beforeEach(() => (deadline = new Deadline(60_000, undefined)));
afterEach(() => deadline.dispose());

/** What becomes of a request that undici deals with in this way. */
function exchange(undici: (handler: Handler) => void, maxBytes = 1_000) {
  const dispatch = (_options: unknown, handler: Handler) => {
    undici(handler);
    return true;
  };
  const wire = new PoolWire({ dispatch } as unknown as Dispatcher, 'http://localhost', STREAMING, { maxBytes });
  return wire.exchange(REQUEST, deadline);
}

/** Headers as undici passes them on. */
const raw = (...texts: readonly string[]) => texts.map((text) => Buffer.from(text, 'latin1'));

describe('An attempt on the pool', () => {
  it('that undici refuses at once was not sent', async () => {
    const failure = await exchange(() => {
      throw Object.assign(new Error('invalid'), { code: 'UND_ERR_INVALID_ARG' });
    });
    expect(failure).toMatchObject({ code: 'UND_ERR_INVALID_ARG', sent: false, status: undefined });
    expect(failure).toBeInstanceOf(WireFailure);
  });

  it('that fails before it has a connection was not sent; afterwards it may have been', async () => {
    const reset = Object.assign(new Error('reset'), { code: 'ECONNRESET' });
    await expect(exchange((handler) => handler.onError(reset))).resolves.toMatchObject({ sent: false });
    const late = exchange((handler) => {
      handler.onConnect(abort);
      handler.onError(reset);
    });
    await expect(late).resolves.toMatchObject({ code: 'ECONNRESET', sent: true, status: undefined });
  });

  it('knows the status of a response that breaks off', async () => {
    const failure = exchange((handler) => {
      handler.onConnect(abort);
      handler.onHeaders(201, [], abort, 'Created');
      handler.onError(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
    });
    await expect(failure).resolves.toMatchObject({ status: 201, sent: true });
  });

  it('reads headers in any spelling, joins lines of one name, and skips what only announces the response', async () => {
    const result = await exchange((handler) => {
      handler.onConnect(abort);
      handler.onHeaders(103, raw('Link', 'early'), abort, 'Early Hints');
      handler.onHeaders(200, raw('RateLimit', 'a', 'X-A', 'caf\u00e9', 'ratelimit', 'b', 'X-Empty'), abort, 'OK');
      handler.onData(Buffer.from('{"a":'));
      handler.onData(Buffer.from('1}'));
      handler.onComplete([]);
    });
    expect(result).toMatchObject({ status: 200, text: '{"a":1}' });
    const header = 'header' in result ? (name: string) => result.header(name) : undefined;
    expect(['ratelimit', 'x-a', 'x-empty', 'link', 'x-b'].map((name) => header?.(name))).toEqual([
      'a, b',
      'caf\u00e9',
      '',
      undefined,
      undefined,
    ]);
  });

  it('ends at its first result, whatever undici tells afterwards', async () => {
    const result = exchange((handler) => {
      handler.onConnect(abort);
      handler.onHeaders(200, [], abort, 'OK');
      handler.onComplete([]);
      handler.onError(new Error('too late'));
    });
    await expect(result).resolves.toMatchObject({ status: 200, text: '' });
    const failed = exchange((handler) => {
      handler.onConnect(abort);
      handler.onError(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
      handler.onComplete([]);
    });
    await expect(failed).resolves.toMatchObject({ code: 'ECONNRESET' });
  });

  it.each([
    ['declares', (handler: Handler) => handler.onHeaders(200, raw('content-length', '11'), abort, 'OK')],
    ['sends', (handler: Handler) => (handler.onHeaders(200, [], abort, 'OK'), handler.onData(Buffer.alloc(11)))],
  ])('is aborted when the server %s more bytes than the client reads', async (_how, respond) => {
    const aborted = jest.fn();
    const result = exchange((handler) => {
      handler.onConnect(aborted);
      respond(handler);
    }, 10);
    await expect(result).resolves.toMatchObject({ code: 'CONTENT_TOO_LARGE', status: 200, sent: true });
    expect(aborted).toHaveBeenCalledTimes(1);
  });

  it('takes as many bytes as the client reads', async () => {
    const result = exchange((handler) => {
      handler.onConnect(abort);
      handler.onHeaders(200, raw('content-length', '10'), abort, 'OK');
      handler.onData(Buffer.from('0123456789'));
      handler.onComplete([]);
    }, 10);
    await expect(result).resolves.toMatchObject({ text: '0123456789' });
  });

  it('that was cancelled while it waited for a connection is aborted when it gets one', async () => {
    let waiting: Handler | undefined;
    const result = exchange((handler) => (waiting = handler));
    deadline.shutDown();
    await expect(result).resolves.toMatchObject({ code: 'SHUTDOWN', sent: false });
    const aborted = jest.fn();
    waiting?.onConnect(aborted);
    expect(aborted).toHaveBeenCalledWith(deadline.reason);
  });

  it('that was cancelled on its way is aborted at once', async () => {
    const aborted = jest.fn();
    const result = exchange((handler) => handler.onConnect(aborted));
    deadline.shutDown();
    await expect(result).resolves.toMatchObject({ code: 'SHUTDOWN', sent: true, cause: deadline.reason });
    expect(aborted).toHaveBeenCalledWith(deadline.reason);
  });
});
