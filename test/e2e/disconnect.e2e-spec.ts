import { request as httpRequest, type Server } from 'node:http';
import { Controller, Get, Param, Post, UseGuards } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  fromUser,
  MedplumAbortError,
  MedplumAudit,
  MedplumModule,
  type MedplumModuleOptions,
  MedplumService,
  OnBehalfOf,
  type RequestEvent,
} from 'nestjs-medplum';
import { closeAll } from '../support/close-all';
import { type Gate, gate } from '../support/gate';
import { until } from '../support/until';
import { listen, PLATFORMS } from '../support/platforms';
import { TestUserGuard } from '../support/test-user.guard';
import { WireServer } from '../support/wire-server';

/** How the handlers ended. */
const ended: unknown[] = [];

async function watch<T>(work: Promise<T>): Promise<T> {
  try {
    const value = await work;
    ended.push(value);
    return value;
  } catch (error) {
    ended.push(error);
    throw error;
  }
}

let entered: Gate;
let afterwards: Gate;

@Controller()
@UseGuards(TestUserGuard)
@OnBehalfOf(fromUser('membership'))
class ChartController {
  constructor(private readonly medplum: MedplumService) {}

  @Get('read/:id')
  read(@Param('id') id: string): Promise<unknown> {
    return watch(this.medplum.readResource('Patient', id));
  }

  @Get('nested/:id')
  nested(@Param('id') id: string): Promise<unknown> {
    return watch(this.medplum.asClientApplication(() => this.medplum.readResource('Patient', id)));
  }

  @Post('write/:id')
  write(): Promise<unknown> {
    return watch(this.medplum.createResource({ resourceType: 'Patient' }));
  }

  @Get('late/:id')
  late(@Param('id') id: string): string {
    void watch(this.medplum.readResource('Patient', id));
    return 'answered';
  }

  @Get('gone/:id')
  async gone(@Param('id') id: string): Promise<unknown> {
    entered.open();
    await afterwards.opened;
    return watch(this.medplum.readResource('Patient', id));
  }
}

describe.each(PLATFORMS)('A client that disconnects, on %s', (platform) => {
  let wire: WireServer;
  let response: Gate;
  let events: RequestEvent[];
  let app: Awaited<ReturnType<typeof start>> | undefined;

  async function start(options: Partial<MedplumModuleOptions>) {
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(wire.options(options))],
      controllers: [ChartController],
    }).compile();
    module.get(MedplumAudit).events$.subscribe((event) => events.push(event));
    return listen(module, platform);
  }

  /** Makes a request. `leave` disconnects, and waits until the app has noticed. */
  function call(method: string, path: string): { leave(): Promise<void> } {
    const server = app?.app.getHttpServer() as Server;
    const closed = new Promise<void>((resolve) => {
      server.once('connection', (socket) => socket.once('close', () => resolve()));
    });
    const request = httpRequest(`${app?.url}/${path}`, { method, headers: { 'x-test-user': 'm-1' } });
    request.on('error', () => undefined).end();
    return {
      leave: () => {
        request.destroy();
        return closed;
      },
    };
  }

  beforeEach(async () => {
    [response, entered, afterwards, events] = [gate(), gate(), gate(), []];
    ended.length = 0;
    wire = await WireServer.start(async () => {
      await response.opened;
      return { body: { resourceType: 'Patient', id: '1' } };
    });
  });

  afterEach(async () => {
    response.open();
    afterwards.open();
    await closeAll(app?.app, wire);
  });

  it.each(['read', 'nested'])('ends a %s in its scope', async (path) => {
    app = await start({ abortOnDisconnect: true });
    const request = call('GET', `${path}/1`);
    await until(() => wire.requests.length === 1);
    await request.leave();
    await until(() => ended.length === 1 && events.length === 1);
    expect(ended[0]).toBeInstanceOf(MedplumAbortError);
    expect(ended[0]).toMatchObject({ effect: 'none', retryable: false });
    expect(events[0]).toMatchObject({ outcome: 'error', attempts: [{ error: 'DISCONNECTED' }] });
  });

  it('does not stop a write or its event', async () => {
    app = await start({ abortOnDisconnect: true });
    const request = call('POST', 'write/1');
    await until(() => wire.requests.length === 1);
    await request.leave();
    response.open();
    await until(() => ended.length === 1);
    expect(ended).toEqual([{ resourceType: 'Patient', id: '1' }]);
    expect(events).toMatchObject([{ action: 'create', outcome: 'success', effect: 'happened' }]);
  });

  it('makes a later call fail, with nothing sent', async () => {
    app = await start({ abortOnDisconnect: true });
    const request = call('GET', 'gone/1');
    await entered.opened;
    await request.leave();
    afterwards.open();
    await until(() => ended.length === 1);
    expect(ended[0]).toBeInstanceOf(MedplumAbortError);
    expect(wire.requests).toHaveLength(0);
    expect(events).toMatchObject([{ outcome: 'refused', attempts: [] }]);
  });

  it('does not count once it has its response: what the handler left running continues', async () => {
    app = await start({ abortOnDisconnect: true });
    const answer = await fetch(`${app.url}/late/1`, { headers: { 'x-test-user': 'm-1', connection: 'close' } });
    await expect(answer.text()).resolves.toBe('answered');
    response.open();
    afterwards.open();
    await until(() => ended.length === 1);
    expect(ended).toEqual([{ resourceType: 'Patient', id: '1' }]);
  });

  it('changes nothing unless the option is set', async () => {
    app = await start({});
    const request = call('GET', 'read/1');
    await until(() => wire.requests.length === 1);
    await request.leave();
    response.open();
    await until(() => ended.length === 1);
    expect(ended).toEqual([{ resourceType: 'Patient', id: '1' }]);
  });
});
