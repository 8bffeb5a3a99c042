import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type EventEmitter, getEventListeners } from 'node:events';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { Pool } from 'undici';
import type { MedplumModuleOptions } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { troubleIn } from '../support/trouble';
import { FAULTS } from '../support/wire-faults';
import type { WireHandler } from '../support/wire-server';

const CONNECTIONS = 4;

let app: MedplumApp;

afterEach(() => app.close());

/** Answers every third request well; the others fail, the connection stays. */
const mixed: WireHandler = (request, response) => {
  const id = Number(request.path.split('/').pop());
  return [() => ({ body: { resourceType: 'Patient', id: '1' } }), FAULTS['503'], FAULTS['no JSON']][id % 3]?.(
    request,
    response,
  );
};

const start = (options: Partial<MedplumModuleOptions> = {}, handler = mixed) =>
  startMedplumApp({ retry: { maxRetries: 1, minTimeout: 1, budget: 10_000 }, ...options }, { handler });

/** Makes calls of all endings: reads and writes, answered, failed, refused and streamed. */
async function makeCalls(count: number, atOnce: number, signal?: AbortSignal): Promise<void> {
  const { medplum } = app;
  const options = { onBehalfOf: 'm-1', ...(signal ? { signal } : {}) };
  const calls = [
    (id: string) => medplum.readResource('Patient', id, options),
    (id: string) => medplum.updateResource({ resourceType: 'Patient', id }, options),
    (id: string) => medplum.binaries.download(id, options).then(({ stream }) => text(stream)),
    () => medplum.readResource('Patient', '/', options),
    (id: string) => medplum.readResource('Patient', id, { ...options, onBehalfOf: undefined as never }),
  ];
  for (let done = 0; done < count; done += atOnce) {
    await Promise.allSettled(
      Array.from({ length: atOnce }, async (_, i) => calls[(done + i) % calls.length]?.(String(done + i))),
    );
  }
  // A connection is made ready for its next request in the turn after.
  await setImmediate();
}

/** How many listeners an emitter has, by event. */
function listenersOf(emitter: EventEmitter): Record<string, number> {
  return Object.fromEntries(emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]));
}

describe('A signal that many calls share', () => {
  it.each([
    ['one after the other', 1],
    ['ten at a time', 10],
    ['all at once', 500],
  ])('has no listeners left, and nobody is warned: %s', async (_how, atOnce) => {
    app = await start();
    const { signal } = new AbortController();
    const trouble = await troubleIn(() => makeCalls(500, atOnce, signal));
    expect(trouble).toEqual([]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('has none left when it has ended calls on their way', async () => {
    app = await start({}, FAULTS.hang);
    const controller = new AbortController();
    const { signal } = controller;
    const trouble = await troubleIn(async () => {
      const calls = Array.from({ length: 50 }, () =>
        app.medplum.readResource('Patient', '1', { onBehalfOf: 'm-1', signal }),
      );
      await app.wire.received(50);
      controller.abort();
      await Promise.allSettled(calls);
    });
    expect(trouble).toEqual([]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

describe('A thousand calls', () => {
  const sockets: Socket[] = [];
  const note = (message: unknown): void => void sockets.push((message as { socket: Socket }).socket);

  beforeEach(() => subscribe('undici:client:connected', note));
  afterEach(() => {
    unsubscribe('undici:client:connected', note);
    sockets.length = 0;
  });

  /** The listeners of the connections, sorted: which one it is does not matter. */
  const onSockets = (): unknown[] => sockets.map((socket) => JSON.stringify(listenersOf(socket))).toSorted();

  it('leave the connections of the pool as the first ones did', async () => {
    app = await start({ pool: { connections: CONNECTIONS } });
    await makeCalls(50, 25);
    const before = onSockets();
    expect(before).toHaveLength(CONNECTIONS);
    expect(await troubleIn(() => makeCalls(1_000, 25))).toEqual([]);
    expect(onSockets()).toEqual(before);
  });

  it('leave a dispatcher that was given as the first ones did', async () => {
    const address = await start();
    const pool = new Pool(new URL(address.wire.baseUrl).origin, { connections: CONNECTIONS });
    try {
      app = await start({ dispatcher: pool, baseUrl: address.wire.baseUrl });
      await makeCalls(50, 25);
      const before = [onSockets(), listenersOf(pool)];
      expect(sockets).toHaveLength(CONNECTIONS);
      expect(await troubleIn(() => makeCalls(1_000, 25))).toEqual([]);
      expect([onSockets(), listenersOf(pool)]).toEqual(before);
    } finally {
      await pool.destroy();
      await address.close();
    }
  });
});
