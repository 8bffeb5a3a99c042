import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { AuditEvent } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import {
  getMedplumToken,
  MedplumConnectionError,
  type MedplumDispatcher,
  MedplumModule,
  MedplumServerError,
  type MedplumService,
  MedplumTimeoutError,
  MedplumTlsError,
} from 'nestjs-medplum';
import { Agent } from 'undici';
import { failureOf } from '../support/failure-of';
import { captureLog } from '../support/captured-log';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { MemorySink } from '../support/memory-sink';
import { FAULTS, hanging } from '../support/wire-faults';
import { type WireHandler, WireServer } from '../support/wire-server';

let app: MedplumApp;

afterEach(() => app.close());

const options = { onBehalfOf: 'm-1' };
const read = (more = {}) => app.medplum.readResource('Patient', '1', { ...options, ...more });
const create = () => app.medplum.createResource({ resourceType: 'Patient' }, options);

/** Timers of this process that are running. */
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('The retry settings of a call', () => {
  it('win over those of the client, one by one', async () => {
    app = await startMedplumApp({ retry: { maxRetries: 3, minTimeout: 1 } }, { handler: FAULTS['503'] });
    await failureOf(read({ retry: { maxRetries: 0 } }));
    expect(app.wire.requests).toHaveLength(1);
    await failureOf(read({ retry: { maxRetries: 1 } }));
    expect(app.wire.requests).toHaveLength(3);
    await failureOf(read({ retry: {} }));
    expect(app.wire.requests).toHaveLength(7);
  });

  it.each([
    null,
    3,
    [],
    { maxRetries: -1 },
    { maxRetries: 1.5 },
    { minTimeout: 0 },
    { maxTimeout: '5' },
    { maxRetry: 1 },
    { budget: 5 },
  ])('are refused when they are none, with nothing sent: %j', async (retry) => {
    app = await startMedplumApp();
    await expect(read({ retry })).rejects.toMatchObject({ code: 'MEDPLUM_BAD_REQUEST', effect: 'none' });
    expect(app.wire.requests).toHaveLength(0);
  });
});

/** How often each of these calls is repeated. */
async function repeats(calls: number): Promise<number[]> {
  const repeated: number[] = [];
  for (let call = 0; call < calls; call++) {
    const before = app.wire.requests.length;
    await failureOf(read());
    repeated.push(app.wire.requests.length - before - 1);
  }
  return repeated;
}

describe('The retry budget of a client', () => {
  it('bounds what all its calls repeat together', async () => {
    app = await startMedplumApp(
      // Calls pay in a fifth each, and time fills up the rest, at a tenth of the budget in a second.
      { retry: { maxRetries: 3, minTimeout: 1, budget: 3 } },
      { handler: FAULTS['503'] },
    );
    for (let call = 0; call < 10; call++) {
      await expect(read()).rejects.toBeInstanceOf(MedplumServerError);
    }
    const repeated = app.wire.requests.length - 10;
    expect(repeated).toBeGreaterThanOrEqual(3);
    expect(repeated).toBeLessThan(10);
    expect(app.events.at(-1)).toMatchObject({ outcome: 'error', attempts: [{ status: 503 }] });
  });

  describe('while the clock is stopped', () => {
    let now: number;

    beforeEach(async () => {
      now = performance.now();
      jest.spyOn(performance, 'now').mockImplementation(() => now);
      const retry = { maxRetries: 10, minTimeout: 1, maxTimeout: 1, budget: 3 };
      app = await startMedplumApp({ retry }, { handler: FAULTS['503'] });
    });
    afterEach(() => jest.restoreAllMocks());

    it('gets a fifth of a retry with each call', async () => {
      expect(await repeats(12)).toEqual([3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]);
    });

    it('gets no more than its size with calls that succeed', async () => {
      app.wire.handler = () => ({ body: { resourceType: 'Patient', id: '1' } });
      for (let call = 0; call < 10; call++) {
        await read();
      }
      app.wire.handler = FAULTS['503'];
      expect(await repeats(2)).toEqual([3, 0]);
    });

    it.each([
      ['a third of it in as much of 10 s', 3_000, 1],
      ['all of it in 10 s', 10_000, 3],
      ['not more than all of it in an hour', 3_600_000, 3],
    ])('fills up with time: %s', async (_what, ms, repeated) => {
      expect(await repeats(1)).toEqual([3]);
      now += ms;
      expect(await repeats(2)).toEqual([repeated, 0]);
    });
  });

  it('may be nothing at all', async () => {
    app = await startMedplumApp({ retry: { budget: 0, minTimeout: 1 } }, { handler: FAULTS['503'] });
    await failureOf(read());
    expect(app.wire.requests).toHaveLength(1);
  });
});

describe('The limits of one attempt', () => {
  it('headersTimeout: a read is tried again, of a write nobody knows', async () => {
    app = await startMedplumApp(
      { headersTimeout: 50, retry: { maxRetries: 1, minTimeout: 1 } },
      { handler: FAULTS.hang },
    );
    const error = await failureOf(read());
    expect(error).toBeInstanceOf(MedplumTimeoutError);
    expect(error).toMatchObject({ phase: 'headers', effect: 'none', retryable: true });
    expect(app.wire.requests).toHaveLength(2);
    await expect(create()).rejects.toMatchObject({ phase: 'headers', effect: 'unknown', retryable: false });
    expect(app.wire.requests).toHaveLength(3);
  });

  it('bodyTimeout: the status line has said that a write is done', async () => {
    app = await startMedplumApp(
      { bodyTimeout: 50, retry: { maxRetries: 1, minTimeout: 1 } },
      { handler: FAULTS['hang in the body'] },
    );
    await expect(read()).rejects.toMatchObject({ code: 'MEDPLUM_TIMEOUT', phase: 'body', status: 200, effect: 'none' });
    await expect(create()).rejects.toMatchObject({ phase: 'body', effect: 'happened', retryable: false });
    expect(app.wire.requests).toHaveLength(3);
  });

  it('the limit of the whole call is another one', async () => {
    app = await startMedplumApp({ timeout: 50 }, { handler: FAULTS.hang });
    await expect(read()).rejects.toMatchObject({ code: 'MEDPLUM_TIMEOUT', phase: 'total' });
  });
});

describe('A certificate that is not trusted', () => {
  it('is an error of its own: nothing was sent, and it is not tried again', async () => {
    let requests = 0;
    const dispatcher: MedplumDispatcher = {
      request: () => {
        requests++;
        return Promise.reject(Object.assign(new Error('taint'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }));
      },
    };
    app = await startMedplumApp({ dispatcher });
    const error = await failureOf(create());
    expect(error).toBeInstanceOf(MedplumTlsError);
    expect(error).toMatchObject({ effect: 'none', retryable: false, cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' } });
    expect(requests).toBe(1);
  });
});

describe('Shutdown', () => {
  it('aborts what is still in flight after shutdownTimeout', async () => {
    const { arrived, handler } = hanging();
    app = await startMedplumApp({ shutdownTimeout: 50 }, { handler });
    const [writing, reading] = [failureOf(create()), failureOf(read())];
    await arrived;
    await app.module.close();
    expect(await writing).toBeInstanceOf(MedplumConnectionError);
    expect(await writing).toMatchObject({ effect: 'unknown', retryable: false });
    expect(await reading).toMatchObject({ code: 'MEDPLUM_CONNECTION', effect: 'none' });
    expect(new Set(app.events.map(({ action, outcome, effect }) => `${action} ${outcome} ${effect}`))).toEqual(
      new Set(['create error unknown', 'read error none']),
    );
    expect(app.events).toHaveLength(2);
  });

  it('tells sinks of what it cut off, and does not cut them off', async () => {
    const sink = new MemorySink();
    const { arrived, handler } = hanging();
    const audit = { sinks: [sink], flushTimeout: 20_000 };
    app = await startMedplumApp(
      { shutdownTimeout: 50, audit },
      {
        handler: (request, response) =>
          request.path.endsWith('/AuditEvent')
            ? { body: { resourceType: 'AuditEvent', id: '2' }, delay: 200 }
            : handler(request, response),
      },
    );
    sink.onWrite = () =>
      app.medplum.asClientApplication(() =>
        app.medplum.createResource({ resourceType: 'AuditEvent' } as AuditEvent, { timeout: 20_000 }),
      );
    const writing = failureOf(create());
    await arrived;
    await app.module.close();
    expect(await writing).toMatchObject({ code: 'MEDPLUM_CONNECTION', effect: 'unknown', cause: { code: 'SHUTDOWN' } });
    expect(sink.events).toMatchObject([{ action: 'create', outcome: 'error', effect: 'unknown' }]);
    expect(sink.closed).toBe(1);
  });

  it('ends a call that waits for its next attempt, with the error of its last one', async () => {
    app = await startMedplumApp(
      { shutdownTimeout: 50 },
      { handler: () => ({ status: 503, headers: { 'retry-after': '9' } }) },
    );
    const reading = failureOf(read());
    await app.wire.received(1);
    await app.module.close();
    expect(app.events).toMatchObject([{ outcome: 'error', attempts: [{ status: 503 }] }]);
    expect(await reading).toMatchObject({ code: 'MEDPLUM_SERVER', status: 503, retryable: true });
  });

  it('ends a call that waits for its secret: nothing was sent', async () => {
    app = await startMedplumApp({ shutdownTimeout: 50, clientSecret: () => new Promise(() => undefined) });
    const writing = failureOf(create());
    await app.module.close();
    expect(app.events).toMatchObject([{ outcome: 'refused', effect: 'none', attempts: [] }]);
    expect(await writing).toMatchObject({ code: 'MEDPLUM_CONNECTION', effect: 'none', retryable: true });
  });

  it('ends a call whose beforeRequest hook hangs: nothing was sent', async () => {
    app = await startMedplumApp({ shutdownTimeout: 50, beforeRequest: () => new Promise(() => undefined) });
    const writing = failureOf(create());
    await app.module.close();
    expect(app.events).toMatchObject([{ outcome: 'refused', effect: 'none', attempts: [] }]);
    expect(await writing).toMatchObject({ code: 'MEDPLUM_CONNECTION', effect: 'none', retryable: true });
  });

  it('ends the calls over a dispatcher that was given, and leaves it open', async () => {
    const dispatcher = new Agent();
    const { arrived, handler } = hanging();
    app = await startMedplumApp({ shutdownTimeout: 50, dispatcher }, { handler });
    try {
      const writing = failureOf(create());
      await arrived;
      await app.module.close();
      expect(app.events).toMatchObject([{ outcome: 'error', effect: 'unknown' }]);
      expect(await writing).toMatchObject({ code: 'MEDPLUM_CONNECTION', effect: 'unknown' });
      expect(dispatcher.destroyed).toBe(false);
    } finally {
      await dispatcher.destroy();
    }
  });

  it('ends a download that nobody reads', async () => {
    app = await startMedplumApp({ shutdownTimeout: 50 }, { handler: FAULTS['hang in the body'] });
    const { stream } = await app.medplum.binaries.download('1', options);
    const ended = new Promise((resolve) => stream.once('close', resolve));
    await app.module.close();
    await ended;
    expect(stream.errored).toMatchObject({ code: 'MEDPLUM_CONNECTION', effect: 'none' });
    expect(app.events).toMatchObject([{ outcome: 'error', status: 200 }]);
  });

  it('gives each client its own time, and all at once', async () => {
    const sink = new MemorySink();
    const { arrived, handler } = hanging();
    const wire = await WireServer.start(handler);
    app = await startMedplumApp(
      { shutdownTimeout: 50, audit: { sinks: [new MemorySink()] } },
      { imports: [MedplumModule.forRoot(wire.options({ name: 'b', shutdownTimeout: 50, audit: { sinks: [sink] } }))] },
    );
    try {
      const other = app.module.get<MedplumService>(getMedplumToken('b'));
      const reading = failureOf(other.readResource('Patient', '1', options));
      await arrived;
      await app.module.close();
      await reading;
      expect(sink.events).toMatchObject([{ client: 'b', outcome: 'error', attempts: [{ error: 'SHUTDOWN' }] }]);
    } finally {
      await wire.close();
    }
  });

  it('leaves neither sockets nor timers, however calls have ended', async () => {
    const open = new Set<Socket>();
    app = await startMedplumApp({ retry: { maxRetries: 1, minTimeout: 1 } });
    const before = timers();
    const watched =
      (handler: WireHandler): WireHandler =>
      (request, response) => {
        const { socket } = response;
        if (socket && !open.has(socket)) {
          open.add(socket);
          socket.once('close', () => open.delete(socket));
        }
        return handler(request, response);
      };
    for (const handler of [...Object.values(FAULTS), () => ({ body: { resourceType: 'Patient', id: '1' } })]) {
      app.wire.handler = watched(handler);
      const controller = new AbortController();
      // A timer that outlives this call would be there for a minute.
      const aborted = read({ timeout: 60_000, signal: controller.signal });
      controller.abort();
      await Promise.allSettled([aborted, read({ timeout: 100 })]);
    }
    const closed = [...open].map((socket) => once(socket, 'close'));
    await app.module.close();
    await Promise.all(closed);
    expect(open.size).toBe(0);
    // The process has timers of others as well, which come and go; ours would stay.
    for (let turn = 0; timers() > before && turn < 100; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(timers()).toBeLessThanOrEqual(before);
  });
});

describe('At start', () => {
  it.each([
    ['NODE_TLS_REJECT_UNAUTHORIZED', '0', true],
    ['NODE_TLS_REJECT_UNAUTHORIZED', '1', false],
    ['NODE_DEBUG', 'fs,undici', true],
    ['NODE_DEBUG', 'fs', false],
  ])('%s=%s is warned of: %s', async (name, value, warned) => {
    const log = captureLog();
    const before = process.env[name];
    process.env[name] = value;
    try {
      app = await startMedplumApp();
      expect(log.text('warn').includes(name)).toBe(warned);
    } finally {
      log.restore();
      if (before === undefined) {
        Reflect.deleteProperty(process.env, name);
      } else {
        process.env[name] = before;
      }
    }
  });
});
