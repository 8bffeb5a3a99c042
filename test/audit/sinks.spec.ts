import type { AuditEvent, Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { AsyncResource } from 'node:async_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Logger } from '@nestjs/common';
import { ClientProxy, type ReadPacket } from '@nestjs/microservices';
import {
  AuditRecordRefusedError,
  ClientProxyAuditSink,
  LoggerAuditSink,
  MedplumAudit,
  MedplumAuditEventSink,
  type MedplumAuditOptions,
  MedplumBadRequestError,
  MedplumForbiddenError,
  MedplumNotFoundError,
  type RequestEvent,
} from 'nestjs-medplum';
import { pino } from 'pino';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { startMedplumServer } from '../support/medplum-server';
import { MemorySink } from '../support/memory-sink';
import { until } from '../support/until';

const nothing = (): void => undefined;

let apps: MedplumApp[] = [];
let warn: jest.SpyInstance;

beforeEach(() => (warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined)));
afterEach(async () => {
  await Promise.allSettled(apps.map((app) => app.close()));
  apps = [];
  warn.mockRestore();
});

async function start(audit: MedplumAuditOptions): Promise<MedplumApp> {
  const app = await startMedplumApp({ audit });
  apps.push(app);
  return app;
}

const read = ({ medplum }: MedplumApp, id = '1') => medplum.readResource('Patient', id, { onBehalfOf: 'm-1' });
const ids = (events: readonly RequestEvent[]) => events.map(({ id }) => id);
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

/** A transport of Nest that keeps what it gets, and can be down. */
class Broker extends ClientProxy {
  readonly messages: ReadPacket[] = [];
  attempts = 0;
  isDown = false;

  async connect(): Promise<void> {
    this.attempts++;
    if (this.isDown) {
      throw new Error('no broker');
    }
  }

  close(): void {
    this.messages.length = 0;
  }

  unwrap(): never {
    throw new Error('There is nothing underneath.');
  }

  protected publish(): () => void {
    throw new Error('An event wants no answer.');
  }

  protected async dispatchEvent<T>(packet: ReadPacket): Promise<T> {
    this.messages.push(packet);
    return undefined as T;
  }
}

/** A connection that stays open. Like a socket, it calls its handlers in the async context of whoever opened it. */
class SharedConnection {
  #context: AsyncResource | undefined;

  get isOpen(): boolean {
    return this.#context !== undefined;
  }

  open(): void {
    this.#context ??= new AsyncResource('SharedConnection');
  }

  async receive(handler: () => Promise<unknown>): Promise<void> {
    await this.#context?.runInAsyncScope(handler);
  }
}

describe('A sink', () => {
  it('gets each event once, in order and in batches, however often it is added', async () => {
    const sink = new MemorySink();
    const app = await start({ sinks: [sink, sink], batchSize: 10 });
    app.module.get(MedplumAudit).addSink(sink);
    await Promise.all(numbers(25).map((i) => read(app, String(i))));
    await until(() => sink.events.length === 25);
    expect(ids(sink.events)).toEqual(ids(app.events));
    expect(sink.events.map(({ seq }) => seq)).toEqual(numbers(25).map((i) => i + 1));
    expect(Math.max(...sink.batches.map(({ length }) => length))).toBeLessThanOrEqual(10);
  });

  it('keeps the options with which it was added first, and a warning says that others are ignored', async () => {
    const sink = new MemorySink();
    const spare = new MemorySink();
    const { module } = await start({ sinks: [sink], maxQueued: 5, onFull: spare });
    const audit = module.get(MedplumAudit);
    audit.addSink(sink);
    audit.addSink(sink, { maxQueued: 5, onFull: spare });
    expect(warn).not.toHaveBeenCalled();
    for (const options of [{ maxQueued: 6 }, { batchSize: 1 }, { onFull: 'drop' as const }]) {
      audit.addSink(sink, options);
      expect(warn).toHaveBeenLastCalledWith(expect.stringContaining('was added before, with other options'));
    }
    expect(warn).toHaveBeenCalledTimes(3);
    // Two sinks cannot pass events to each other for ever, because the second one has no further sink.
    audit.addSink(spare, { onFull: sink });
    expect(warn).toHaveBeenCalledTimes(4);
  });

  it('that is down for a while gets everything when it is back, and no call notices', async () => {
    const sink = new MemorySink();
    const app = await start({ sinks: [sink] });
    sink.isDown = true;
    await Promise.all(numbers(30).map((i) => read(app, String(i))));
    const audit = app.module.get(MedplumAudit);
    await until(() => (audit.sinkStats[0]?.failures ?? 0) >= 2);
    sink.isDown = false;
    await read(app);
    await until(() => sink.events.length >= 31);
    expect(ids(sink.events)).toEqual(ids(app.events));
    expect(audit.sinkStats).toMatchObject([{ sink: 'MemorySink', queued: 0, written: 31, dropped: 0 }]);
    expect(warn.mock.calls).toEqual([
      ['The audit sink MemorySink failed: TypeError. Its events wait, and it is tried again.'],
      ['The audit sink MemorySink accepts events again.'],
    ]);
  });

  it('that hangs delays no call, and events that do not fit into its queue are counted', async () => {
    const sink = new MemorySink();
    let release: () => void = nothing;
    sink.gate = new Promise<void>((resolve) => (release = resolve));
    const app = await start({ sinks: [sink], maxQueued: 5 });
    await Promise.all(numbers(12).map((i) => read(app, String(i))));
    expect(app.module.get(MedplumAudit).sinkStats).toMatchObject([{ queued: 5, dropped: 7, spilled: 0 }]);
    release();
    await until(() => sink.events.length === 5);
    expect(ids(sink.events)).toEqual(ids(app.events.slice(0, 5)));
  });

  it('that hangs leaves the rest to the sink of onFull, if there is one', async () => {
    const sink = new MemorySink();
    const spill = new MemorySink('Spill');
    let release: () => void = nothing;
    sink.gate = new Promise<void>((resolve) => (release = resolve));
    const app = await start({ sinks: [sink], maxQueued: 5, onFull: spill });
    await Promise.all(numbers(12).map((i) => read(app, String(i))));
    await until(() => spill.events.length === 7);
    release();
    await until(() => sink.events.length === 5);
    expect(ids([...sink.events, ...spill.events])).toEqual(ids(app.events));
  });

  it('may call Medplum: its calls have events, which no sink gets', async () => {
    const sink = new MemorySink();
    const app = await start({ sinks: [sink] });
    let calls = 0;
    // If the sink got the events of its own calls, this would never end.
    sink.onWrite = () =>
      calls++ < 10 ? app.medplum.readResource('Patient', 'of-the-sink', { onBehalfOf: 'm-2' }) : undefined;
    await read(app);
    await read(app);
    await until(() => sink.events.length === 2);
    expect(sink.events.map(({ resourceId }) => resourceId)).toEqual(['1', '1']);
    expect(sink.events.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(app.events.filter(({ resourceId }) => resourceId === 'of-the-sink').length).toBeGreaterThanOrEqual(1);
  });

  it('may open a connection whose handlers are not sinks: their calls are recorded', async () => {
    const sink = new MemorySink();
    const app = await start({ sinks: [sink] });
    const connection = new SharedConnection();
    sink.onWrite = () => connection.open();
    await read(app);
    await until(() => sink.events.length === 1);
    await connection.receive(() => read(app, 'later'));
    await until(() => sink.events.length === 2);
    expect(sink.events[1]?.resourceId).toBe('later');
  });

  it('may be at work while a handler of its connection serves a user: the calls of the handler are recorded', async () => {
    const sink = new MemorySink();
    const app = await start({ sinks: [sink] });
    const connection = new SharedConnection();
    let release: () => void = nothing;
    sink.onWrite = () => connection.open();
    sink.gate = new Promise<void>((resolve) => (release = resolve));
    await read(app);
    await until(() => connection.isOpen);
    await connection.receive(() => app.medplum.onBehalfOf('m-1', () => app.medplum.readResource('Patient', 'user')));
    release();
    await until(() => sink.events.length === 2);
    expect(sink.events[1]?.resourceId).toBe('user');
  });

  it('may call Medplum as the client: its calls have events, which no sink gets', async () => {
    const sink = new MemorySink();
    const app = await start({ sinks: [sink] });
    let calls = 0;
    sink.onWrite = () =>
      calls++ < 10
        ? app.medplum.asClientApplication(() => app.medplum.readResource('Patient', 'of-the-sink'))
        : undefined;
    await read(app);
    await until(() => sink.events.length === 1);
    await read(app);
    await until(() => sink.events.length === 2);
    expect(sink.events.map(({ resourceId }) => resourceId)).toEqual(['1', '1']);
  });

  it('writes outside the scope of the call that it records', async () => {
    const sink = new MemorySink();
    const app = await start({ sinks: [sink] });
    const seen: unknown[] = [];
    sink.onWrite = () => seen.push(app.medplum.currentOnBehalfOf);
    await app.medplum.onBehalfOf('m-1', () => app.medplum.readResource('Patient', '1'));
    await until(() => sink.events.length === 1);
    expect(seen).toEqual([undefined]);
  });

  it('that is slow under load keeps memory flat', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const sink = new MemorySink();
    let release: () => void = nothing;
    sink.gate = new Promise<void>((resolve) => (release = resolve));
    const app = await start({ sinks: [sink], maxQueued: 100 });
    const load = async (calls: number) => {
      for (let i = 0; i < calls; i++) {
        // A call that is refused before it is sent makes much load in little time.
        await app.medplum.readResource('Patient', '../').catch(() => undefined);
      }
      app.events.length = 0;
      collect();
      return process.memoryUsage().heapUsed;
    };
    const before = await load(2_000);
    const after = await load(8_000);
    expect(app.module.get(MedplumAudit).sinkStats).toMatchObject([{ queued: 100, dropped: 9_900 }]);
    // An event takes about 1 KB: 8,000 that are kept would be seen.
    expect((after - before) / 1_000_000).toBeLessThan(3);
    release();
  });
});

describe('When the app shuts down', () => {
  it('waiting events are written, then the sink is closed', async () => {
    const sink = new MemorySink();
    const app = await start({ sinks: [sink] });
    await Promise.all(numbers(250).map((i) => read(app, String(i))));
    await app.close();
    expect(ids(sink.events)).toEqual(ids(app.events));
    expect(sink.closed).toBe(1);
  });

  it('a call that is still running is recorded', async () => {
    const sink = new MemorySink();
    const app = await start({ sinks: [sink] });
    let answer: () => void = nothing;
    app.wire.handler = () =>
      new Promise((resolve) => (answer = () => resolve({ body: { resourceType: 'Patient', id: '1' } })));
    const call = read(app);
    await until(() => app.wire.requests.length === 1);
    const closing = app.module.close();
    answer();
    await call;
    await closing;
    expect(sink.events).toHaveLength(1);
  });

  it('a sink that hangs delays it until the deadline, and the log says what is lost', async () => {
    const sink = new MemorySink();
    sink.gate = new Promise(() => undefined);
    const app = await start({ sinks: [sink], flushTimeout: 30 });
    await Promise.all([read(app), read(app)]);
    await app.close();
    expect(app.module.get(MedplumAudit).sinkStats).toMatchObject([{ dropped: 2, queued: 0 }]);
    expect(warn.mock.calls.flat()).toContain(
      '2 audit events are lost: the sink MemorySink did not take them in time. Set a larger maxQueued or flushTimeout, or another sink as onFull.',
    );
  });

  it('events that a sink could not write go to the sink of onFull, if there is one', async () => {
    const sink = new MemorySink();
    const spill = new MemorySink('Spill');
    sink.isDown = true;
    const app = await start({ sinks: [sink], flushTimeout: 30, onFull: spill });
    await Promise.all([read(app), read(app)]);
    await app.close();
    expect(ids(spill.events)).toEqual(ids(app.events));
    expect(spill.closed).toBe(1);
  });
});

describe('The ready-made sinks', () => {
  it('write lines of JSON to the log, without PHI by default', async () => {
    const log = jest.fn();
    const phi = jest.fn();
    const sinks = [
      new LoggerAuditSink({ logger: { log } }),
      new LoggerAuditSink({ logger: { log: phi }, form: 'phi' }),
    ];
    const app = await start({ sinks });
    await read(app, 'homer');
    await until(() => log.mock.calls.length === 1 && phi.mock.calls.length === 1);
    expect(JSON.parse(String(log.mock.calls[0]))).toEqual(JSON.parse(JSON.stringify(app.events[0])));
    expect(String(log.mock.calls[0])).not.toContain('homer');
    expect(JSON.parse(String(phi.mock.calls[0]))).toMatchObject({ resourceId: 'homer' });
  });

  it('give objects to a logger that has only info, such as that of pino', async () => {
    const lines: unknown[] = [];
    const logger = pino({ redact: ['path'] }, { write: (line: string) => lines.push(JSON.parse(line)) });
    const app = await start({ sinks: [new LoggerAuditSink({ logger, form: 'phi' })] });
    await read(app, 'homer');
    await until(() => lines.length === 1);
    expect(lines).toEqual([expect.objectContaining({ resourceId: 'homer', path: '[Redacted]', level: 30 })]);
  });

  it('send messages through a ClientProxy, in the chosen form, and again when it fails', async () => {
    const broker = new Broker();
    broker.isDown = true;
    const app = await start({ sinks: [new ClientProxyAuditSink(broker, { pattern: 'audit', form: 'phi' })] });
    await Promise.all([read(app, 'homer'), read(app, 'marge')]);
    await until(() => broker.attempts > 0);
    broker.isDown = false;
    await until(() => broker.messages.length === 2);
    expect(broker.messages).toEqual(app.events.map((event) => ({ pattern: 'audit', data: event.toPhiAudit() })));
  });

  it('store each AuditEvent in Medplum once, as the client, also when a batch is written again', async () => {
    const server = await startMedplumServer({ audit: { flushTimeout: 100 } });
    try {
      const { medplum, module } = server;
      const sink = new MedplumAuditEventSink(medplum, { site: 'clinic' });
      let lost = 0;
      module.get(MedplumAudit).addSink({
        // The response to the first batch does not arrive.
        write: (batch) => sink.write(batch).then(() => (lost++ === 0 ? Promise.reject(new Error('lost')) : undefined)),
      });
      const patient = await medplum.asClientApplication(() => medplum.createResource({ resourceType: 'Patient' }));
      await medplum.asClientApplication(() => medplum.readResource('Patient', patient.id));
      await until(() => module.get(MedplumAudit).sinkStats[0]?.written === 2);
      const [created, readEvent] = server.events.filter(({ reason }) => reason === undefined);
      const resources = await medplum.asClientApplication(() => medplum.searchResources('AuditEvent'));
      expect(resources).toHaveLength(2);
      expect(new Set(resources.map(({ meta }) => meta?.tag?.[0]?.code))).toEqual(new Set([created?.id, readEvent?.id]));
      expect(resources.map(({ agent }) => agent.find(({ requestor }) => requestor)?.who?.reference)).toEqual([
        `ClientApplication/${server.options.clientId}`,
        `ClientApplication/${server.options.clientId}`,
      ]);
    } finally {
      await server.close();
    }
  });

  it('spare the quota that all users of a client share', async () => {
    const executeBatch = jest.fn(async (bundle: { entry?: unknown[] }) => ({
      resourceType: 'Bundle' as const,
      type: 'batch-response' as const,
      entry: (bundle.entry ?? []).map(() => ({ response: { status: '201' } })),
    }));
    const sink = new MedplumAuditEventSink(
      { executeBatch: executeBatch as never, asClientApplication: (fn) => fn() },
      { maxPerMinute: 3 },
    );
    const app = await start({ sinks: [sink], flushTimeout: 50 });
    await Promise.all(numbers(5).map((i) => read(app, String(i))));
    await until(() => executeBatch.mock.calls.length > 0);
    expect(executeBatch.mock.calls.flatMap(([bundle]) => bundle.entry)).toHaveLength(3);
  });
});

/** A server of AuditEvents that judges each entry of a batch, or the batch as a whole. */
class AuditServer {
  readonly batches: AuditEvent[][] = [];
  readonly stored = new Set<string>();
  /** The status of an entry, or an error with which the whole batch fails. */
  judge: (event: AuditEvent, batch: readonly AuditEvent[]) => string | Error = () => '201';

  readonly target = {
    asClientApplication: <T>(fn: () => T): T => fn(),
    executeBatch: async (bundle: Bundle): Promise<Bundle> => {
      const batch = (bundle.entry ?? []).map(({ resource }) => resource as AuditEvent);
      this.batches.push(batch);
      const verdicts = batch.map((event) => this.judge(event, batch));
      const failed = verdicts.find((verdict) => verdict instanceof Error);
      if (failed) {
        throw failed;
      }
      verdicts.forEach((status, i) => status === '201' && this.stored.add(idOf(batch[i])));
      return {
        resourceType: 'Bundle',
        type: 'batch-response',
        entry: verdicts.map((status) => ({ response: { status: String(status) } })),
      };
    },
  };
}

/** The id of the resource that an AuditEvent is about. */
const idOf = (event: AuditEvent | undefined) => event?.entity?.[0]?.what?.reference?.split('/')[1] ?? '';

/** Refuses the events about this resource for good. */
function refuses(bad: string): (batch: readonly RequestEvent[]) => void {
  return (batch) => {
    const events = batch.filter(({ resourceId }) => resourceId === bad);
    if (events.length > 0) {
      throw new AuditRecordRefusedError(events, Object.assign(new Error('taint'), { code: 'BAD_ROW' }));
    }
  };
}

describe('An event that a sink refuses for good', () => {
  it('is set aside and counted, and what follows goes on', async () => {
    const sink = new MemorySink();
    sink.onWrite = refuses('bad');
    const app = await start({ sinks: [sink] });
    await Promise.all(['1', 'bad', '2'].map((id) => read(app, id)));
    await read(app, '3');
    await until(() => sink.events.length === 3);
    expect(new Set(sink.events.map(({ resourceId }) => resourceId))).toEqual(new Set(['1', '2', '3']));
    expect(sink.events).toHaveLength(3);
    expect(app.module.get(MedplumAudit).sinkStats).toMatchObject([
      { queued: 0, written: 3, failures: 0, dropped: 0, spilled: 0, refused: 1 },
    ]);
    const warnings = warn.mock.calls.filter(([text]) => String(text).includes('MemorySink'));
    expect(warnings).toEqual([
      ['The audit sink MemorySink refused events for good: BAD_ROW. They are lost, and the next events follow.'],
    ]);
  });

  it('goes to the sink of onFull, if there is one', async () => {
    const sink = new MemorySink();
    const rest = new MemorySink('Rest');
    sink.onWrite = refuses('bad');
    const app = await start({ sinks: [sink], onFull: rest });
    await Promise.all(['1', 'bad', '2'].map((id) => read(app, id)));
    await until(() => sink.events.length === 2 && rest.events.length === 1);
    expect(rest.events[0]?.resourceId).toBe('bad');
    expect(app.module.get(MedplumAudit).sinkStats[0]).toMatchObject({ written: 2, spilled: 1, refused: 1 });
  });

  it('is one of the batch: an error that names none of it is like any other', async () => {
    const sink = new MemorySink();
    let refusals = 0;
    sink.onWrite = () => {
      if (refusals++ === 0) {
        throw new AuditRecordRefusedError([]);
      }
    };
    const app = await start({ sinks: [sink] });
    await read(app);
    await until(() => sink.events.length === 1);
    expect(app.module.get(MedplumAudit).sinkStats).toMatchObject([{ written: 1, failures: 1, refused: 0 }]);
  });

  it.each<readonly [string, (event: RequestEvent) => object]>([
    [
      'throws',
      () => {
        throw new TypeError('taint');
      },
    ],
    ['makes no JSON', () => ({ id: 1n })],
    ['makes no object', () => []],
  ])('is one whose form %s', async (_how, fail) => {
    const log = jest.fn();
    const form = (event: RequestEvent) => (event.resourceId === 'bad' ? fail(event) : event.toPhiAudit());
    const app = await start({ sinks: [new LoggerAuditSink({ logger: { log }, form })] });
    await Promise.all(['1', 'bad', '2'].map((id) => read(app, id)));
    await until(() => log.mock.calls.length === 2);
    expect(app.module.get(MedplumAudit).sinkStats).toMatchObject([{ written: 2, refused: 1, failures: 0 }]);
  });
});

describe('A MedplumAuditEventSink', () => {
  async function startWith(server: AuditServer): Promise<{ app: MedplumApp; rest: MemorySink }> {
    const rest = new MemorySink('Rest');
    const sink = new MedplumAuditEventSink(server.target, { maxPerMinute: 1_000 });
    return { app: await start({ sinks: [sink], onFull: rest, flushTimeout: 50 }), rest };
  }

  it.each<readonly [string, AuditServer['judge']]>([
    ['an entry', (event) => (idOf(event) === 'bad' ? '400 Bad Request' : '201')],
    [
      'the batch that it is in',
      (_event, batch) =>
        batch.some((event) => idOf(event) === 'bad') ? new MedplumBadRequestError('refused', { status: 400 }) : '201',
    ],
  ])('refuses the AuditEvent that the server calls invalid by %s, and stores the others', async (_what, judge) => {
    const server = new AuditServer();
    server.judge = judge;
    const { app, rest } = await startWith(server);
    await Promise.all([...numbers(7).map(String), 'bad'].map((id) => read(app, id)));
    await until(() => server.stored.size === 7 && rest.events.length === 1);
    expect(rest.events[0]?.resourceId).toBe('bad');
    await read(app, '8');
    await until(() => server.stored.has('8'));
    expect(app.module.get(MedplumAudit).sinkStats[0]).toMatchObject({ refused: 1, failures: 0, queued: 0 });
  });

  it.each<readonly [string, string | Error]>([
    ...['401', '403', '408', '409', '429', '500', '503'].map((status) => [status, status] as const),
    ['an unreadable status', 'undefined'],
    ['a batch that is not allowed', new MedplumForbiddenError('refused', { status: 403 })],
    ['a batch with a wrong address', new MedplumNotFoundError('refused', { status: 404 })],
    ['a lost connection', new TypeError('fetch failed')],
  ])('writes again after a refusal that may pass: %s', async (_what, verdict) => {
    const server = new AuditServer();
    server.judge = (event) => (idOf(event) === '1' && server.batches.length === 1 ? verdict : '201');
    const { app, rest } = await startWith(server);
    await Promise.all(['1', '2'].map((id) => read(app, id)));
    await until(() => server.stored.size === 2);
    expect(rest.events).toEqual([]);
    expect(app.module.get(MedplumAudit).sinkStats[0]).toMatchObject({ refused: 0, failures: 1 });
  });

  it('takes an AuditEvent that the server has several times for stored', async () => {
    const server = new AuditServer();
    server.judge = () => '412';
    const { app } = await startWith(server);
    await read(app);
    const audit = app.module.get(MedplumAudit);
    await until(() => audit.sinkStats[0]?.queued === 0);
    expect(audit.sinkStats[0]).toMatchObject({ written: 1, refused: 0 });
  });
});
