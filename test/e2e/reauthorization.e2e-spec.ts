import { Controller, type ExecutionContext, Get, type INestApplication, type MessageEvent, Sse } from '@nestjs/common';
import { type ClientProxy, ClientProxyFactory, MessagePattern, Transport } from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { Test } from '@nestjs/testing';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { once } from 'node:events';
import { MedplumModule, type MedplumModuleOptions, MedplumService, OnBehalfOf } from 'nestjs-medplum';
import { firstValueFrom, map, mergeMap, Observable, ReplaySubject, Subject, tap, toArray } from 'rxjs';
import { WebSocket } from 'ws';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { closeAll } from '../support/close-all';
import { freePort } from '../support/free-port';
import { listen, PLATFORMS } from '../support/platforms';
import { until } from '../support/until';
import { resourceAsked, WireServer } from '../support/wire-server';

const BART = 'ProjectMembership/bart';

/** Who the source of the handlers finds. */
class Directory {
  who: () => unknown = () => BART;
  /** The identity that surrounds the source, each time it is asked. */
  readonly around: (string | undefined)[] = [];
  /** The address of the request that it is asked about. */
  readonly addresses: string[] = [];
  readonly #asked = new Subject<number>();

  ask(context: ExecutionContext): string {
    this.around.push(medplum?.currentOnBehalfOf);
    this.addresses.push(context.switchToHttp().getRequest<{ url: string }>().url);
    this.#asked.next(this.around.length);
    return this.who() as string;
  }

  /** Resolves when the source is asked for the `times`-th time from now. */
  asked(times: number): Promise<unknown> {
    const last = this.around.length + times;
    return firstValueFrom(this.#asked.pipe(mergeMap((count) => (count === last ? [count] : []))));
  }
}

let directory: Directory;
let medplum: MedplumService | undefined;
/** Makes the streams emit. */
let ticks: Subject<string>;
/** How many streams are open. */
let open: number;

const source = (context: ExecutionContext): string => directory.ask(context);

function charts(service: MedplumService): Observable<string> {
  // The test emits, outside the scope of the handler.
  const read = service.bind(async (id: string) => {
    await service.readResource('Patient', id);
    return `${id} for ${service.currentOnBehalfOf}`;
  });
  return new Observable<string>((subscriber) => {
    open++;
    subscriber.add(() => open--);
    subscriber.add(ticks.subscribe(subscriber));
  }).pipe(mergeMap(read));
}

@Controller()
@OnBehalfOf(source)
class ChartsController {
  constructor(private readonly service: MedplumService) {}

  @Sse('stream')
  stream(): Observable<MessageEvent> {
    return charts(this.service).pipe(map((data) => ({ data })));
  }

  @Get('slow')
  async slow() {
    const id = await firstValueFrom(ticks);
    return this.service.readResource('Patient', id);
  }

  @MessagePattern('stream')
  messages(): Observable<string> {
    return charts(this.service);
  }
}

@WebSocketGateway()
@OnBehalfOf(source)
class ChartsGateway {
  constructor(private readonly service: MedplumService) {}

  @SubscribeMessage('stream')
  stream() {
    return charts(this.service).pipe(map((data) => ({ event: 'chart', data })));
  }

  @SubscribeMessage('read')
  read() {
    return { event: 'read', data: this.service.currentOnBehalfOf };
  }
}

/** What ends a stream, and the reason that the log gives. */
const REFUSALS: readonly (readonly [string, () => unknown, string])[] = [
  ['finds nobody', () => undefined, 'UnauthorizedException'],
  ['finds somebody else', () => 'ProjectMembership/lisa', 'another identity'],
  [
    'fails',
    () => {
      throw new TypeError('user bart@example.com is locked');
    },
    'TypeError',
  ],
  ['never answers', () => new Promise(() => undefined), 'not answered'],
];

const EVERY = 10;

let wire: WireServer;
let log: CapturedLog;
let app: INestApplication | undefined;
/** Ends the requests that are still open. */
let hangUp: AbortController;

beforeEach(async () => {
  directory = new Directory();
  ticks = new Subject();
  open = 0;
  log = captureLog();
  hangUp = new AbortController();
  wire = await WireServer.start();
});

afterEach(async () => {
  hangUp.abort();
  await until(() => open === 0);
  await closeAll(app, wire);
  [app, medplum] = [undefined, undefined];
  log.restore();
});

async function start(platform: (typeof PLATFORMS)[number], options: Partial<MedplumModuleOptions> = {}) {
  const module = await Test.createTestingModule({
    imports: [MedplumModule.forRoot(wire.options({ reauthorizeEvery: EVERY, ...options }))],
    controllers: [ChartsController],
    providers: [ChartsGateway],
  }).compile();
  const started = await listen(module, platform, (nest) => nest.useWebSocketAdapter(new WsAdapter(nest)));
  app = started.app;
  medplum = module.get(MedplumService);
  return started;
}

/** Opens server-sent events, and waits until the handler runs. */
async function openEvents(address: string) {
  const before = open;
  const response = fetch(address, { signal: hangUp.signal });
  response.catch(() => undefined);
  await until(() => open > before);
  let reader: ReadableStreamDefaultReader<string> | undefined;
  const next = async (): Promise<string | undefined> => {
    reader ??= ((await response).body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    return (await reader.read()).value;
  };
  return {
    /** Reads until `text` has come. */
    async until(text: string): Promise<void> {
      for (let seen: string | undefined = ''; !seen.includes(text);) {
        const more = await next();
        if (more === undefined) throw new Error(`The stream ended without "${text}".`);
        seen += more;
      }
    },
    /** Everything until the end. */
    async rest(): Promise<string> {
      let seen = '';
      for (let more = await next(); more !== undefined; more = await next()) seen += more;
      return seen;
    },
  };
}

describe.each(PLATFORMS)('Server-sent events on %s', (platform) => {
  it('go on as long as their identity is confirmed', async () => {
    const { url } = await start(platform);
    const events = await openEvents(`${url}/stream`);
    ticks.next('1');
    await events.until(`1 for ${BART}`);
    await directory.asked(3);
    ticks.next('2');
    await events.until(`2 for ${BART}`);
    // The source decides about the identity, so it must not see it.
    expect(new Set(directory.around)).toEqual(new Set([undefined]));
  });

  it.each(REFUSALS)('end when the source %s', async (_, who, reason) => {
    const { url } = await start(platform);
    const events = await openEvents(`${url}/stream`);
    ticks.next('1');
    await events.until('1 for');
    directory.who = who;
    expect(await events.rest()).not.toMatch(/bart@|lisa|locked/);
    expect(open).toBe(0);
    expect(log.text('warn')).toMatch(new RegExp(`ChartsController.stream went on for long.*${reason}`));
    expect(log.text('warn')).not.toMatch(/bart|lisa|locked/);
  });

  it('end when the membership check refuses the identity', async () => {
    let active = true;
    const accessPolicy = { reference: 'AccessPolicy/1' };
    wire.handler = (request) => {
      const isCheck = request.path.includes('/ProjectMembership');
      return {
        body: isCheck
          ? { resourceType: 'ProjectMembership', id: 'bart', active, accessPolicy }
          : resourceAsked(request),
      };
    };
    const { url } = await start(platform, { membershipCheck: { ttl: 1 }, reauthorizeEvery: 250 });
    const events = await openEvents(`${url}/stream`);
    ticks.next('1');
    await events.until('1 for');
    active = false;
    await events.rest();
    expect(log.text('warn')).toContain('asking failed with OnBehalfOfRejectedError');
  });

  it('are no longer asked about once they are closed', async () => {
    const { url } = await start(platform);
    await openEvents(`${url}/stream?first`);
    await directory.asked(2);
    hangUp.abort();
    await until(() => open === 0);
    hangUp = new AbortController();
    const { length } = directory.addresses;
    await openEvents(`${url}/stream?second`);
    await directory.asked(5);
    expect(new Set(directory.addresses.slice(length))).toEqual(new Set(['/stream?second']));
  });
});

it('does not ask again for a handler that answers once, however long that takes', async () => {
  const { url } = await start('express');
  const answer = fetch(`${url}/slow`);
  await openEvents(`${url}/stream`);
  await directory.asked(5);
  ticks.next('1');
  expect(await (await answer).json()).toEqual({ resourceType: 'Patient', id: '1' });
  expect(directory.addresses.filter((address) => address === '/slow')).toHaveLength(1);
});

/** Connects a WebSocket. */
async function connect() {
  const { url } = await start('express');
  const socket = new WebSocket(url.replace('http', 'ws'));
  const messages = new ReplaySubject<{ event: string; data: unknown }>();
  socket.on('message', (text: Buffer) =>
    messages.next(JSON.parse(text.toString()) as { event: string; data: unknown }),
  );
  const closed = once(socket, 'close') as Promise<[number, Buffer]>;
  await once(socket, 'open');
  return { socket, messages, closed, send: (event: string) => socket.send(JSON.stringify({ event, data: {} })) };
}

describe('A WebSocket', () => {
  it('stays open as long as its identity is confirmed', async () => {
    const { messages, send, socket } = await connect();
    send('read');
    await firstValueFrom(messages);
    await directory.asked(3);
    expect(socket.readyState).toBe(WebSocket.OPEN);
    socket.terminate();
  });

  it.each([REFUSALS[0], REFUSALS[2], REFUSALS[3]] as typeof REFUSALS)(
    'is closed, although it is silent, when the source %s',
    async (_, who) => {
      const { messages, send, closed } = await connect();
      send('read');
      await firstValueFrom(messages);
      directory.who = who;
      const [code, reason] = await closed;
      expect(code).toBe(1008);
      expect(reason.toString()).toBe('identity not confirmed');
      expect(log.text('warn')).toContain('The WebSocket of ChartsGateway.read went on for long');
    },
  );

  it('keeps its connection, but not its stream, when the source finds somebody else', async () => {
    const { messages, send, socket } = await connect();
    send('stream');
    await until(() => open > 0);
    ticks.next('1');
    expect(await firstValueFrom(messages)).toEqual({ event: 'chart', data: `1 for ${BART}` });
    directory.who = () => 'ProjectMembership/lisa';
    await until(() => open === 0);
    send('read');
    const read = firstValueFrom(messages.pipe(mergeMap((message) => (message.event === 'read' ? [message.data] : []))));
    expect(await read).toBe('ProjectMembership/lisa');
    socket.terminate();
  });
});

it('ends the stream of a microservice handler', async () => {
  const { app: nest } = await start('express');
  const options = { host: '127.0.0.1', port: await freePort() };
  nest.connectMicroservice({ transport: Transport.TCP, options });
  await nest.startAllMicroservices();
  const client: ClientProxy = ClientProxyFactory.create({ transport: Transport.TCP, options });
  try {
    const seen: unknown[] = [];
    const answers = client.send<string>('stream', {}).pipe(
      tap((text) => seen.push(text)),
      toArray(),
    );
    const ended = firstValueFrom(answers).catch((error: unknown) => error);
    await until(() => open > 0);
    ticks.next('1');
    await directory.asked(2);
    directory.who = () => undefined;
    expect(JSON.stringify(await ended)).not.toMatch(/bart/);
    expect(open).toBe(0);
    expect(seen).toEqual([`1 for ${BART}`]);
  } finally {
    await client.close();
  }
});
