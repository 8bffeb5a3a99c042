import { Injectable, type INestApplication, UseFilters, type WebSocketAdapter } from '@nestjs/common';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { defer, from, type Observable } from 'rxjs';
import { CurrentOnBehalfOf, fromUser, MedplumExceptionFilter, OnBehalfOf } from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { Charts, type CrowdApp, mixUpsOf, noMixUps, sendCrowd, startCrowdApp, type Visit } from '../support/crowd';

/** What a client of a gateway gets for one message. */
export interface SocketAnswer {
  readonly event: string;
  readonly data: unknown;
}

/** A client of the gateway, logged in as `user`. It has one message on its way at a time, except with `sendAll`. */
export interface SocketClient {
  send(event: string, data: object): Promise<SocketAnswer>;
  /** Sends all messages at once and resolves with as many answers, in any order. */
  sendAll(event: string, messages: readonly object[]): Promise<unknown[]>;
  close(): void;
}

/** How the tests run on one adapter. */
export interface GatewayDriver {
  readonly adapter: (app: INestApplication) => WebSocketAdapter;
  /** Connects a client. Its `user` arrives with the handshake. */
  connect(url: string, user?: string): Promise<SocketClient>;
  /** Whom the handshake of a client names. */
  userOf(client: object, ...handshake: unknown[]): string | undefined;
  /** Sends a message that asks for an acknowledgement. Resolves with that, or with the event that comes instead. */
  readonly acknowledged?: (client: SocketClient, event: string, data: object) => Promise<unknown>;
  /** What Nest's own filter sends for an error that is none of its own. `undefined`: nothing. */
  readonly unfiltered: object | undefined;
}

/** The tests that both adapters have to pass. */
export function testGateway(driver: GatewayDriver): void {
  /** Identities come with the session of the socket, with each message, or not at all. */
  @Injectable()
  class Gateway {
    constructor(readonly charts: Charts) {}

    handleConnection(client: object, ...handshake: unknown[]): void {
      const membership = driver.userOf(client, ...handshake);
      if (membership !== undefined) {
        Object.assign(client, { user: membership === 'without-membership' ? {} : { membership } });
      }
    }

    @SubscribeMessage('visit')
    @OnBehalfOf(fromUser('membership'))
    async visit(@MessageBody() { key }: Visit): Promise<SocketAnswer> {
      return { event: 'visit', data: await this.charts.visit(key) };
    }

    @SubscribeMessage('message')
    @OnBehalfOf((context) => context.switchToWs().getData<Visit>().membership)
    async message(@MessageBody() { key }: Visit, @CurrentOnBehalfOf() who: string): Promise<SocketAnswer> {
      return { event: 'message', data: (await this.charts.read(key)) === who ? `${key} ${who}` : 'someone else' };
    }

    @SubscribeMessage('observe')
    @OnBehalfOf((context) => context.switchToWs().getData<Visit>().membership)
    observe(@MessageBody() { key }: Visit): Observable<SocketAnswer> {
      return defer(() => from(this.charts.read(key).then((who) => ({ event: 'observe', data: `${key} ${who}` }))));
    }

    @SubscribeMessage('plain')
    @OnBehalfOf(fromUser('membership'))
    plain(@MessageBody() { key }: Visit): Promise<string | undefined> {
      return this.charts.read(key);
    }

    @SubscribeMessage('undecorated')
    async undecorated(@MessageBody() { key }: Visit): Promise<SocketAnswer> {
      return { event: 'undecorated', data: await this.charts.read(key) };
    }
  }

  @WebSocketGateway()
  @UseFilters(MedplumExceptionFilter)
  class ChartGateway extends Gateway {}

  /** The filter that MedplumModule registers for the app is all it has. */
  @WebSocketGateway({ path: '/bare' })
  class BareGateway extends Gateway {}

  let crowd: CrowdApp<INestApplication>;
  let log: CapturedLog;
  const clients: SocketClient[] = [];

  const start = (gateway: typeof Gateway): Promise<CrowdApp<INestApplication>> =>
    startCrowdApp({ providers: [gateway] }, async (module) => {
      const app = module.createNestApplication();
      app.useWebSocketAdapter(driver.adapter(app));
      await app.listen(0, '127.0.0.1');
      return app;
    });

  const connect = async (user?: string): Promise<SocketClient> => {
    const client = await driver.connect(await crowd.app.getUrl(), user);
    clients.push(client);
    return client;
  };

  beforeAll(async () => {
    crowd = await start(ChartGateway);
  });

  afterAll(async () => {
    clients.forEach((client) => client.close());
    await crowd?.close();
  });

  beforeEach(() => {
    log = captureLog();
    crowd.wire.requests.length = 0;
  });

  afterEach(() => log.restore());

  it('never mixes up the users of its sockets', async () => {
    const sockets = new Map<string, Promise<SocketClient>>();
    const send = async (event: string, { membership, key }: Visit): Promise<unknown> => {
      const user = key.split('.')[0] ?? '';
      let socket = sockets.get(user);
      if (!socket) {
        sockets.set(user, (socket = connect(user)));
      }
      // What a client says about itself in a message counts for nothing here.
      const answer = await (await socket).send(event, { key, membership: 'someone-else' });
      if (answer.event === 'exception') {
        expect(answer.data).toMatchObject({ statusCode: event === 'visit' ? 404 : 500 });
        throw new Error(membership);
      }
      return answer.data;
    };
    const report = await sendCrowd(crowd.wire, {
      serve: (visit) => send('visit', visit),
      refuse: (visit) => send('undecorated', visit),
    });
    expect(report).toEqual(noMixUps());
  });

  it.each(['message', 'observe'])('%s: messages of many users on one socket act for their own', async (event) => {
    const messages = Array.from({ length: 40 }, (_, n) => ({ membership: `user${n}`, key: `user${n}.${event}` }));
    const answers = await (await connect()).sendAll(event, messages);
    expect(new Set(answers)).toEqual(
      new Set(messages.map(({ membership, key }) => `${key} ProjectMembership/${membership}`)),
    );
    expect(new Set(crowd.wire.requests.map(({ path }) => path)).size).toBe(40);
    expect(mixUpsOf(crowd.wire)).toEqual([]);
  });

  it.each([
    ['of the server', 'user1', 'visit', 'user1.3', 404, 'NOT_FOUND', 'There is no such resource.'],
    ['without a user', undefined, 'visit', 'user1.0', 401, 'UNAUTHORIZED', 'You are not logged in.'],
    ['without a membership', 'without-membership', 'visit', 'user1.0', 403, 'FORBIDDEN', 'You may not do this.'],
    ['of the app', 'user1', 'undecorated', 'user1.0', 500, 'INTERNAL_SERVER_ERROR', 'Internal server error'],
  ])('tells the client about an error %s', async (_, user, event, key, statusCode, code, message) => {
    const client = await connect(user);
    expect(await client.send(event, { key })).toEqual({
      event: 'exception',
      data: { status: 'error', code, statusCode, message },
    });
    expect(crowd.wire.requests.some(({ path }) => path.endsWith('user1.0'))).toBe(false);
    expect(await client.send('message', { key: 'user7.a', membership: 'user7' })).toMatchObject({ event: 'message' });
  });

  const { acknowledged } = driver;
  if (acknowledged) {
    it('never acknowledges a message that failed', async () => {
      const [user, nobody] = [await connect('user1'), await connect()];
      expect(await acknowledged(user, 'plain', { key: 'user1.ack' })).toBe('ProjectMembership/user1');
      const failed = await acknowledged(nobody, 'plain', { key: 'user1.ack' });
      expect(failed).toMatchObject({ event: 'exception', data: { code: 'UNAUTHORIZED' } });
    });
  }

  it('leaves the answer to Nest when the class has no filter, because a global one does not run', async () => {
    const bare = await start(BareGateway);
    try {
      const client = await driver.connect(`${await bare.app.getUrl()}/bare`, 'user1');
      clients.push(client);
      const answers = [client.send('undecorated', { key: 'user1.0' }), client.send('visit', { key: 'user1.0' })];
      const answer = await Promise.race(answers);
      expect(answer.event === 'exception' ? answer.data : undefined).toEqual(driver.unfiltered);
      expect(JSON.stringify(answer)).not.toContain('Medplum has no identity');
    } finally {
      await bare.close();
    }
  });
}
