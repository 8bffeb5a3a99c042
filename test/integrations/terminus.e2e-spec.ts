import { EventEmitter, once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Controller, Get, Module } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { AsClientApplication, MedplumModule, type MedplumModuleOptions } from 'nestjs-medplum';
import { MedplumHealthIndicator, MedplumHealthModule } from 'nestjs-medplum/terminus';
import { MedplumEmulator } from 'nestjs-medplum/testing';
import { captureLog, type CapturedLog } from '../support/captured-log';
import { listen, PLATFORMS } from '../support/platforms';
import { type WireAnswer, type WireHandler, WireServer } from '../support/wire-server';

const UP = { medplum: { status: 'up' } };
const DOWN = { medplum: { status: 'down' } };

const ADMIN = { resourceType: 'ProjectMembership', id: 'm1', admin: true };

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly medplum: MedplumHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.medplum.isHealthy('medplum')]);
  }

  /** Runs in a scope that belongs to the inbound request. */
  @Get('decorated')
  @HealthCheck()
  @AsClientApplication()
  decorated() {
    return this.check();
  }
}

@Module({ imports: [TerminusModule, MedplumHealthModule], controllers: [HealthController] })
class HealthModule {}

/** A handler that holds its response back until `answer()`; `arrival` resolves when a request has arrived. */
function held(): { handler: WireHandler; arrival: Promise<void>; answer: (answer: WireAnswer) => void } {
  const arrivals = new EventEmitter();
  const answers = new EventEmitter();
  return {
    handler: async () => {
      const answered = once(answers, 'answer');
      arrivals.emit('arrival');
      const [answer] = (await answered) as [WireAnswer];
      return answer;
    },
    arrival: once(arrivals, 'arrival').then(() => undefined),
    answer: (answer) => void answers.emit('answer', answer),
  };
}

async function get(url: string, signal?: AbortSignal): Promise<readonly [status: number, body: unknown]> {
  const response = await fetch(url, { signal: signal ?? null });
  return [response.status, await response.json()];
}

describe.each(PLATFORMS)('GET /health on %s', (platform) => {
  let emulator: MedplumEmulator;
  let log: CapturedLog;

  beforeEach(async () => {
    log = captureLog();
    emulator = await MedplumEmulator.start();
  });

  afterEach(async () => {
    log.restore();
    await emulator?.close();
  });

  /** Starts an app with this client, and calls `fn` with the address of its health endpoint and with its HTTP server. */
  async function serve<T>(client: MedplumModuleOptions, fn: (url: string, server: Server) => Promise<T>): Promise<T> {
    const imports = [MedplumModule.forRoot(client), HealthModule];
    const { app: served, url } = await listen(await Test.createTestingModule({ imports }).compile(), platform);
    const server = served.getHttpServer() as Server;
    try {
      return await fn(`${url}/health`, server);
    } finally {
      // Otherwise close() would wait for the connection of a request that was given up.
      server.closeAllConnections();
      await served.close();
    }
  }

  const requested = () => emulator.requests.map(({ path }) => path.replace(/\?.*/, ''));

  it('is 200 for a project admin of the embedded Medplum', async () => {
    const response = await serve(emulator.options(), (url) => get(url));
    expect(response).toEqual([200, { status: 'ok', info: UP, error: {}, details: UP }]);
    expect(requested()).toEqual(['/fhir/R4/ProjectMembership']);
  });

  it('is 200 with an access token as well', async () => {
    const response = await serve({ ...emulator.options(), auth: 'client-credentials' }, (url) => get(url));
    expect(response).toMatchObject([200, { info: UP }]);
    expect(requested()).toEqual(['/oauth2/token', '/fhir/R4/ProjectMembership']);
  });

  it('is 503 for a client that is not an admin, and for a wrong secret', async () => {
    await emulator.createClient({ name: 'no admin', admin: false });
    const down = [503, { status: 'error', info: {}, error: DOWN, details: DOWN }];
    expect(await serve(emulator.options('no admin'), (url) => get(url))).toEqual(down);
    expect(await serve({ ...emulator.options(), clientSecret: 'wrong' }, (url) => get(url))).toEqual(down);
    expect(new Set(requested())).toEqual(new Set(['/fhir/R4/ProjectMembership']));
  });

  it('answers later callers when the first one has disconnected', async () => {
    const { handler, arrival, answer } = held();
    const wire = await WireServer.start(handler);
    try {
      await serve(wire.options({ abortOnDisconnect: true }), async (url, server) => {
        const gone = new AbortController();
        const asked = once(server, 'request') as Promise<[IncomingMessage, ServerResponse]>;
        const first = get(`${url}/decorated`, gone.signal);
        const [, response] = await asked;
        const noticed = once(response, 'close');
        await arrival;
        const second = get(url);
        gone.abort();
        await expect(first).rejects.toThrow(/abort/);
        await noticed;
        answer({ body: { resourceType: 'Bundle', entry: [{ resource: ADMIN }] } });
        expect(await second).toMatchObject([200, { info: UP }]);
        expect(wire.requests).toHaveLength(1);
      });
    } finally {
      await wire.close();
    }
  });
});
