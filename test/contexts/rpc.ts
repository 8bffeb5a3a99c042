import {
  Controller,
  Injectable,
  Logger,
  type INestApplication,
  type INestMicroservice,
  UseFilters,
} from '@nestjs/common';
import type { Type } from '@nestjs/common';
import {
  type ClientProxy,
  ClientProxyFactory,
  type ClientOptions,
  EventPattern,
  MessagePattern,
  type MicroserviceOptions,
  Payload,
} from '@nestjs/microservices';
import { firstValueFrom, from, lastValueFrom, mergeMap, type Observable, Subject, toArray } from 'rxjs';
import { CurrentOnBehalfOf, MedplumExceptionFilter, MedplumService, OnBehalfOf } from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { Charts, type CrowdApp, mixUpsOf, noMixUps, sendCrowd, startCrowdApp, type Visit } from '../support/crowd';

declare const NEST_MAJOR: number;

/** How the tests run on one transport. */
export interface RpcDriver {
  /** What the server listens to. */
  server(): MicroserviceOptions;
  /** How clients reach it, once it listens. */
  client(server: INestMicroservice): ClientOptions;
}

/** Opens the scope of each message before its guards run. */
const openScopes = (server: INestMicroservice, medplum: MedplumService): void =>
  void server.registerPreRequestHook((context, next) =>
    medplum.onBehalfOf(context.switchToRpc().getData<Visit>().membership, next),
  );

/** The tests that all transports have to pass. */
export function testRpc(driver: RpcDriver): void {
  /** A message of a microservice has no session: its identity comes with its data. */
  const membershipOf = OnBehalfOf((context) => context.switchToRpc().getData<Partial<Visit>>().membership);

  @Injectable()
  class Messages {
    /** Whom each event acted for, or why it failed. */
    readonly seen = new Subject<string | undefined>();

    constructor(readonly charts: Charts) {}

    @MessagePattern('visit')
    @membershipOf
    async visit(@Payload() { key }: Visit, @CurrentOnBehalfOf() who: string): Promise<string> {
      return (await this.charts.visit(key)) === who ? who : 'someone else';
    }

    /** Three answers to one message, the last of them long after the handler has returned. */
    @MessagePattern('observe')
    @membershipOf
    observe(@Payload() { key }: Visit): Observable<string | undefined> {
      return from(['first', 'second', 'third']).pipe(mergeMap((part) => this.charts.read(`${key}-${part}`), 1));
    }

    @EventPattern('seen')
    @membershipOf
    async event(@Payload() { key }: Visit): Promise<void> {
      this.seen.next(await this.charts.visit(key));
    }

    @MessagePattern('undecorated')
    undecorated(@Payload() { key }: Visit): Promise<string | undefined> {
      return this.charts.read(key);
    }
  }

  @Controller()
  class BareController extends Messages {}

  @Controller()
  @UseFilters(MedplumExceptionFilter)
  class FilteredController extends Messages {}

  interface RpcApp extends CrowdApp<INestApplication | INestMicroservice> {
    readonly messages: Messages;
    readonly client: ClientProxy;
  }

  let open: RpcApp[] = [];

  async function start(
    controller: Type<Messages>,
    listen: (
      options: MicroserviceOptions,
      create: Parameters<Parameters<typeof startCrowdApp>[1]>[0],
    ) => Promise<{
      readonly app: INestApplication | INestMicroservice;
      readonly server: INestMicroservice;
    }>,
  ): Promise<RpcApp> {
    let server: INestMicroservice | undefined;
    const crowd = await startCrowdApp({ controllers: [controller] }, async (module) => {
      const started = await listen(driver.server(), module);
      ({ server } = started);
      return started.app;
    });
    const client = ClientProxyFactory.create(driver.client(server as INestMicroservice));
    const app = { ...crowd, client, messages: crowd.app.get(controller) };
    open.push(app);
    return app;
  }

  const hybrid = (controller: Type<Messages>, hybridOptions: { readonly inheritAppConfig?: boolean } = {}) =>
    start(controller, async (options, module) => {
      const app = module.createNestApplication();
      const server = app.connectMicroservice(options, hybridOptions);
      await app.startAllMicroservices();
      return { app, server };
    });

  const microservice = (
    controller: Type<Messages>,
    prepare: (server: INestMicroservice) => void = () => undefined,
  ): Promise<RpcApp> =>
    start(controller, async (options, module) => {
      const server = module.createNestMicroservice(options);
      prepare(server);
      await server.listen();
      return { app: server, server };
    });

  const send = ({ client }: RpcApp, pattern: string, message: Partial<Visit>): Promise<unknown> =>
    firstValueFrom(client.send<unknown>(pattern, message));

  let log: CapturedLog;

  beforeEach(() => (log = captureLog()));

  afterEach(async () => {
    log.restore();
    const apps = open;
    open = [];
    await Promise.all(
      apps.map(async (app) => {
        await app.client.close();
        await app.close();
      }),
    );
  });

  it('never mixes up the messages of many users on one connection', async () => {
    const app = await hybrid(FilteredController);
    const report = await sendCrowd(app.wire, {
      serve: (visit) => send(app, 'visit', visit),
      refuse: (visit) => send(app, 'undecorated', visit),
    });
    expect(report).toEqual(noMixUps());
  });

  it('keeps the identity of a message through all of its answers', async () => {
    const app = await hybrid(BareController);
    const users = Array.from({ length: 40 }, (_, n) => `user${n}`);
    const answers = await Promise.all(
      users.map((membership) =>
        lastValueFrom(app.client.send<string>('observe', { membership, key: `${membership}.0` }).pipe(toArray())),
      ),
    );
    expect(answers).toEqual(users.map((membership) => Array(3).fill(`ProjectMembership/${membership}`)));
    expect(mixUpsOf(app.wire)).toEqual([]);
  });

  it('keeps the identities of events apart', async () => {
    const app = await hybrid(BareController);
    const users = Array.from({ length: 40 }, (_, n) => `user${n}`);
    const seen = new Set<unknown>();
    const all = new Promise<void>((resolve) => {
      app.messages.seen.subscribe((who) => {
        seen.add(who);
        if (seen.size === users.length) {
          resolve();
        }
      });
    });
    await Promise.all(
      users.map((membership) => lastValueFrom(app.client.emit('seen', { membership, key: `${membership}.0` }))),
    );
    await all;
    expect(seen).toEqual(new Set(users.map((membership) => `ProjectMembership/${membership}`)));
    expect(mixUpsOf(app.wire)).toEqual([]);
  });

  describe.each([
    ['a microservice', () => microservice(BareController)],
    ['a hybrid app with inheritAppConfig', () => hybrid(BareController, { inheritAppConfig: true })],
    ['a hybrid app whose controller has the filter', () => hybrid(FilteredController)],
  ])('In %s', (_name, startApp) => {
    it('a client is told code and status of an error, in texts of the library', async () => {
      const app = await startApp();
      const failures = await Promise.allSettled([
        send(app, 'visit', { membership: 'user1', key: 'user1.3' }),
        send(app, 'visit', { key: 'user1.0' }),
        send(app, 'visit', { membership: 'not a membership', key: 'user1.0' }),
        send(app, 'undecorated', { membership: 'user1', key: 'user1.0' }),
      ]);
      const status = 'error';
      const wrong = { status, code: 'INTERNAL_SERVER_ERROR', statusCode: 500, message: 'Internal server error' };
      expect(failures.map((failure) => failure.status === 'rejected' && failure.reason)).toEqual([
        { status, code: 'NOT_FOUND', statusCode: 404, message: 'There is no such resource.' },
        { status, code: 'UNAUTHORIZED', statusCode: 401, message: 'You are not logged in.' },
        wrong,
        wrong,
      ]);
      expect(app.wire.requests.some(({ path }) => path.endsWith('user1.0'))).toBe(false);
    });

    it('the failure of an event, which nobody answers, is logged', async () => {
      const app = await startApp();
      const warned = (message: Partial<Visit>): Promise<string> =>
        new Promise((resolve) => {
          jest.spyOn(Logger.prototype, 'warn').mockImplementation((line: string) => {
            if (line.includes('(rpc)')) {
              resolve(line);
            }
          });
          app.client.emit('seen', message).subscribe();
        });
      expect(await warned({ membership: 'user1', key: 'user1.3' })).toContain(
        'MedplumNotFoundError in a handler (rpc)',
      );
      expect(await warned({ key: 'user1.0' })).toContain('OnBehalfOfRequiredError in a handler (rpc)');
      // The next message is served as if nothing had happened.
      expect(await send(app, 'visit', { membership: 'user1', key: 'user1.0' })).toBe('ProjectMembership/user1');
    });
  });

  it('leaves the answer to Nest in a hybrid app without the filter, because a global one does not run', async () => {
    const app = await hybrid(BareController);
    await expect(send(app, 'visit', { key: 'user1.0' })).rejects.toEqual({
      status: 'error',
      message: 'Internal server error',
    });
  });

  if (NEST_MAJOR >= 12) {
    it.each([
      [
        'a microservice',
        () => microservice(BareController, (server) => openScopes(server, server.get(MedplumService))),
      ],
      [
        'a hybrid app',
        () =>
          start(BareController, async (options, module) => {
            const app = module.createNestApplication();
            const server = app.connectMicroservice(options, { inheritAppConfig: true, deferInitialization: true });
            openScopes(server, app.get(MedplumService));
            await app.startAllMicroservices();
            return { app, server };
          }),
      ],
    ])('a pre-request hook of %s opens the scope for undecorated handlers', async (_name, startApp) => {
      const app = await startApp();
      const users = Array.from({ length: 40 }, (_, n) => `user${n}`);
      const answers = await Promise.all(
        users.map((membership) => send(app, 'undecorated', { membership, key: `${membership}.0` })),
      );
      expect(answers).toEqual(users.map((membership) => `ProjectMembership/${membership}`));
      expect(mixUpsOf(app.wire)).toEqual([]);
      await expect(send(app, 'undecorated', { key: 'user1.0' })).rejects.toMatchObject({ statusCode: 500 });
    });
  }
}
