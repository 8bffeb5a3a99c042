import { request as httpRequest, type Server } from 'node:http';
import { Controller, Get, Param, UseGuards } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { defer, lastValueFrom, type Observable } from 'rxjs';
import { fromUser, MedplumAbortError, MedplumAudit, MedplumModule, MedplumService, OnBehalfOf } from 'nestjs-medplum';
import type { RequestEvent } from 'nestjs-medplum';
import { closeAll } from '../support/close-all';
import { failureOf } from '../support/failure-of';
import { type Gate, gate } from '../support/gate';
import { until } from '../support/until';
import { listen, PLATFORMS } from '../support/platforms';
import { TestUserGuard } from '../support/test-user.guard';
import { WireServer } from '../support/wire-server';

/** What handler A left for handler B: it reads `Patient/a`. */
let left: () => Promise<unknown>;
/** What handler B got from it. */
let fromA: Promise<unknown> | undefined;
/** The read that handler B made itself. */
let ofB: Promise<unknown> | undefined;

@Controller()
@UseGuards(TestUserGuard)
@OnBehalfOf(fromUser('membership'))
class HandlersController {
  constructor(private readonly medplum: MedplumService) {}

  private read(id: string): Promise<unknown> {
    return this.medplum.readResource('Patient', id);
  }

  @Get('a/:way')
  a(@Param('way') way: string): string {
    const ways: Readonly<Record<string, () => () => Promise<unknown>>> = {
      bind: () => this.medplum.bind(() => this.read('a')),
      'bind in a scope': () => this.medplum.onBehalfOf('inner', () => this.medplum.bind(() => this.read('a'))),
      observable: () => {
        const lazy: Observable<unknown> = this.medplum.onBehalfOf('inner', () => defer(() => this.read('a')));
        return () => lastValueFrom(lazy);
      },
    };
    left = ways[way]?.() ?? left;
    return 'made';
  }

  @Get('b')
  async b(): Promise<string> {
    fromA = left();
    ofB = this.read('b');
    await Promise.allSettled([fromA, ofB]);
    return 'used';
  }
}

/** The headers of request A or B, with its user and its id. */
const headers = (name: string) => ({ 'x-test-user': `user-${name}`, 'x-request-id': `request-${name}` });

const byName = ([a]: readonly unknown[], [b]: readonly unknown[]): number => String(a).localeCompare(String(b));

describe.each(PLATFORMS)('What handler A made and handler B calls, on %s', (platform) => {
  let wire: WireServer;
  let response: Gate;
  let events: RequestEvent[];
  let app: Awaited<ReturnType<typeof start>> | undefined;

  async function start() {
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(wire.options({ abortOnDisconnect: true }))],
      controllers: [HandlersController],
    }).compile();
    module.get(MedplumAudit).events$.subscribe((event) => events.push(event));
    return listen(module, platform);
  }

  beforeEach(async () => {
    [response, events, fromA, ofB] = [gate(), [], undefined, undefined];
    wire = await WireServer.start(async (request) => {
      await response.opened;
      return { body: { resourceType: 'Patient', id: request.path.split('/').pop() } };
    });
    app = await start();
  });

  afterEach(async () => {
    response.open();
    await closeAll(app?.app, wire);
  });

  /** Serves request A, which leaves something behind. */
  const serveA = async (way: string) => {
    const served = await fetch(`${app?.url}/a/${encodeURIComponent(way)}`, {
      headers: { ...headers('a'), connection: 'close' },
    });
    expect(await served.text()).toBe('made');
  };

  describe.each([
    ['bind', 'user-a'],
    ['bind in a scope', 'inner'],
    ['observable', 'inner'],
  ])('by %s', (way, identity) => {
    it('has the identity and the inbound request of A', async () => {
      await serveA(way);
      response.open();
      const served = await fetch(`${app?.url}/b`, { headers: headers('b') });
      expect(await served.text()).toBe('used');
      const recorded = events.map((event) => [event.resourceId, event.onBehalfOf, event.inboundRequestId]);
      expect(recorded.toSorted(byName)).toEqual([
        ['a', `ProjectMembership/${identity}`, 'request-a'],
        ['b', 'ProjectMembership/user-b', 'request-b'],
      ]);
      const sent = wire.requests.map(({ path, onBehalfOf, headers: { 'x-request-id': id } }) => [
        path.split('/').pop(),
        onBehalfOf,
        id,
      ]);
      expect(sent.toSorted(byName)).toEqual([
        ['a', `ProjectMembership/${identity}`, 'request-a'],
        ['b', 'ProjectMembership/user-b', 'request-b'],
      ]);
    });

    it('is not aborted when the client of B hangs up', async () => {
      await serveA(way);
      const server = app?.app.getHttpServer() as Server;
      const closed = new Promise<void>((resolve) => {
        server.once('connection', (socket) => socket.once('close', () => resolve()));
      });
      const request = httpRequest(`${app?.url}/b`, { headers: headers('b') });
      request.on('error', () => undefined).end();
      await until(() => wire.requests.length === 2);
      request.destroy();
      await closed;
      // The read of B shows that the app has noticed.
      expect(await failureOf(ofB ?? Promise.resolve())).toBeInstanceOf(MedplumAbortError);
      response.open();
      await expect(fromA).resolves.toEqual({ resourceType: 'Patient', id: 'a' });
    });
  });
});
