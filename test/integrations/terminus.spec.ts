import { AsyncLocalStorage } from 'node:async_hooks';
import { EventEmitter, once } from 'node:events';
import { inspect } from 'node:util';
import { TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { MedplumConfigError, MedplumModule, type MedplumModuleOptions } from 'nestjs-medplum';
import { MedplumHealthIndicator, MedplumHealthModule, type MedplumHealthModuleOptions } from 'nestjs-medplum/terminus';
import { captureLog, type CapturedLog } from '../support/captured-log';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { outcome, type WireAnswer, type WireHandler, WireServer } from '../support/wire-server';

const membership = (more: object = {}) => ({ resourceType: 'ProjectMembership', id: 'm1', ...more });

const found = (...resources: readonly object[]): WireAnswer => ({
  body: { resourceType: 'Bundle', type: 'searchset', entry: resources.map((resource) => ({ resource })) },
});

const healthy: WireHandler = () => found(membership({ admin: true }));

const UP = { medplum: { status: 'up' } };
const DOWN = { medplum: { status: 'down' } };

let app: MedplumApp;
let indicator: MedplumHealthIndicator;
let log: CapturedLog;

/** How far the monotonic clock is ahead of the real one, in ms. */
let ahead: number;
const now = performance.now.bind(performance);

beforeEach(() => {
  log = captureLog();
  ahead = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => now() + ahead);
});

afterEach(async () => {
  jest.restoreAllMocks();
  await app?.close();
});

/** Starts an app with one client, whose server responds as `handler` says. */
async function start(
  handler: WireHandler,
  options?: MedplumHealthModuleOptions,
  client?: Partial<MedplumModuleOptions>,
): Promise<void> {
  const health = options ? MedplumHealthModule.forRoot(options) : MedplumHealthModule;
  app = await startMedplumApp(client, { handler, imports: [TerminusModule, health] });
  indicator = app.module.get(MedplumHealthIndicator);
}

const isHealthy = () => indicator.isHealthy('medplum');

describe('A client is up', () => {
  it('when the server shows that its membership is a project admin, without asking /auth/me for the secret', async () => {
    await start(healthy);
    expect(await isHealthy()).toEqual(UP);
    expect(app.wire.requests).toMatchObject([
      {
        method: 'GET',
        path: '/fhir/R4/ProjectMembership?profile=ClientApplication%2Fclient-1&_elements=admin',
        headers: { authorization: `Basic ${Buffer.from('client-1:secret-1').toString('base64')}` },
        onBehalfOf: undefined,
      },
    ]);
  });

  it('when one of several memberships is a project admin', async () => {
    await start(() => found(membership(), membership({ id: 'm2', admin: true })));
    expect(await isHealthy()).toEqual(UP);
  });

  it('whatever the identity around the check is', async () => {
    await start(healthy, undefined, { defaultOnBehalfOf: 'ProjectMembership/other' });
    expect(await app.medplum.onBehalfOf('ProjectMembership/user', isHealthy)).toEqual(UP);
    expect(app.wire.identities).toEqual([undefined]);
  });

  it('and the audit trail shows that the client itself made the call, and why', async () => {
    await start(healthy);
    await isHealthy();
    expect(app.events).toMatchObject([
      {
        identitySource: 'client-application',
        reason: 'health check',
        onBehalfOf: undefined,
        action: 'search',
        resourceType: 'ProjectMembership',
        outcome: 'success',
      },
    ]);
  });
});

describe('A client is down', () => {
  const secretive = outcome('refused', 'login', 'client-1 with secret-1 is unknown at 10.1.2.3');

  it.each<readonly [string, WireHandler, why: RegExp]>([
    ['its credentials are refused', () => ({ status: 401, body: secretive }), /MEDPLUM_UNAUTHORIZED/],
    [
      'it may not search',
      () => ({ status: 403, body: secretive }),
      /MEDPLUM_FORBIDDEN\. Likely cause: the client is not a project admin\. Set admin: true/,
    ],
    ['the server fails', () => ({ status: 500, body: secretive }), /MEDPLUM_SERVER/],
    ['the server is overloaded', () => ({ status: 503, headers: { 'retry-after': '0' } }), /MEDPLUM_SERVER/],
    ['the connection breaks', () => ({ destroy: true }), /MEDPLUM_CONNECTION/],
    [
      'something else than Medplum responds',
      () => ({ body: '<html>', headers: { 'content-type': 'text/html' } }),
      /MEDPLUM_PROTOCOL/,
    ],
    ['the response is not a search result', () => ({ body: { ok: true } }), /MEDPLUM_PROTOCOL/],
    ['it has no membership', () => found(), /no ProjectMembership/],
    ['the result holds something else', () => found({ resourceType: 'Group', admin: true }), /no ProjectMembership/],
    ['it is not marked as an admin', () => found(membership()), /not a project admin/],
    ['it is marked as no admin', () => found(membership({ admin: false })), /not a project admin/],
    ['admin is not a boolean', () => found(membership({ admin: 'true' })), /not a project admin/],
  ])('when %s: one request, one warning, and neither gives anything away', async (_when, handler, why) => {
    await start(handler);
    const result = await isHealthy();
    expect(result).toEqual(DOWN);
    expect(app.wire.requests).toHaveLength(1);
    expect(log.text('warn')).toMatch(why);
    expect(
      log
        .text('warn')
        .split('\n')
        .filter((line) => line.includes('is down')),
    ).toHaveLength(1);
    const shown = inspect(result, { depth: null, showHidden: true }) + log.text('warn') + log.text('error');
    expect(shown).not.toMatch(/secret-1|client-1|10\.1\.2\.3|127\.0\.0\.1|m1/);
  });

  it('when no server listens', async () => {
    await start(healthy);
    await app.wire.close();
    expect(await isHealthy()).toEqual(DOWN);
    expect(log.text('warn')).toMatch(/MEDPLUM_CONNECTION/);
  });

  it('when the server takes too long', async () => {
    await start(() => undefined, { timeout: 20 });
    expect(await isHealthy()).toEqual(DOWN);
    expect(log.text('warn')).toMatch(/MEDPLUM_TIMEOUT/);
  });

  it('when its secret takes too long', async () => {
    await start(healthy, { timeout: 20 }, { clientSecret: () => new Promise<string>(() => undefined) });
    expect(await isHealthy()).toEqual(DOWN);
    expect(app.wire.requests).toHaveLength(0);
  });

  it('when the app has shut down', async () => {
    await start(healthy);
    await app.module.close();
    expect(await isHealthy()).toEqual(DOWN);
  });
});

describe('Many checks', () => {
  it('of a client share one request, and its result afterwards', async () => {
    await start(healthy);
    const checks = Array.from({ length: 50 }, isHealthy);
    expect(new Set((await Promise.all(checks)).map((result) => result.medplum.status))).toEqual(new Set(['up']));
    expect(await indicator.isHealthy('again')).toEqual({ again: { status: 'up' } });
    expect(app.wire.requests).toHaveLength(1);
  });

  it('share a failure as well', async () => {
    await start(() => ({ status: 401 }));
    const checks = Array.from({ length: 50 }, isHealthy);
    expect(new Set((await Promise.all(checks)).map((result) => result.medplum.status))).toEqual(new Set(['down']));
    expect(app.wire.requests).toHaveLength(1);
  });

  it('run outside the scope of the first caller', async () => {
    const requests = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    await start(healthy, undefined, {
      auditContext: () => {
        seen.push(requests.getStore());
        return { subject: requests.getStore() };
      },
    });
    await requests.run('a request', isHealthy);
    expect(seen).toEqual([undefined]);
  });

  it('ask again when the result has expired, after 10 s by default', async () => {
    await start(healthy);
    await isHealthy();
    ahead = 9_000;
    await isHealthy();
    expect(app.wire.requests).toHaveLength(1);
    ahead = 10_500;
    await isHealthy();
    expect(app.wire.requests).toHaveLength(2);
  });

  it('keep a failure for at most a second, and no longer than ttl', async () => {
    await start(() => ({ status: 500 }), { ttl: 500 });
    await isHealthy();
    ahead = 501;
    await isHealthy();
    expect(app.wire.requests).toHaveLength(2);
  });

  it('see a client go down and come up again, and log each change once', async () => {
    await start(healthy);
    const states: string[] = [];
    const check = async (handler: WireHandler) => {
      app.wire.handler = handler;
      ahead += 10_500;
      states.push((await isHealthy()).medplum.status);
    };
    await check(healthy);
    await check(() => ({ status: 500 }));
    await check(() => ({ status: 500 }));
    await check(() => ({ status: 401 }));
    await check(healthy);
    await check(healthy);
    expect(states).toEqual(['up', 'down', 'down', 'down', 'up', 'up']);
    expect(log.text('warn').split('\n')).toEqual([
      'The Medplum client "default" is down: its health check failed with MEDPLUM_SERVER.',
      'The Medplum client "default" is down: its health check failed with MEDPLUM_UNAUTHORIZED. Likely cause: the clientId or the clientSecret is wrong, the secret was changed, or the access token has expired. Check both options, and that the ClientApplication and its ProjectMembership still exist on this server.',
    ]);
    expect(log.text('log').match(/.*is up.*/g)).toEqual(['The Medplum client "default" is up again.']);
  });

  it('in progress are cut off when the app shuts down', async () => {
    const server = new EventEmitter();
    const arrival = once(server, 'request');
    const silent: WireHandler = () => void server.emit('request');
    await start(silent, undefined, { shutdownTimeout: 20 });
    const check = isHealthy();
    await arrival;
    await app.module.close();
    expect(await check).toEqual(DOWN);
  });
});

describe('Several clients', () => {
  let lab: WireServer;

  beforeEach(async () => {
    lab = await WireServer.start(() => found(membership()));
  });

  afterEach(() => lab.close());

  it('are checked separately, by name', async () => {
    app = await startMedplumApp(
      {},
      {
        handler: healthy,
        imports: [
          MedplumModule.forRoot({ ...lab.options({ clientId: 'client-2' }), name: 'lab', isGlobal: false }),
          TerminusModule,
          MedplumHealthModule,
        ],
      },
    );
    indicator = app.module.get(MedplumHealthIndicator);
    const checks = [isHealthy(), indicator.isHealthy('lab', { client: 'lab' })];
    expect(await Promise.all(checks)).toEqual([UP, { lab: { status: 'down' } }]);
    await indicator.isHealthy('lab', { client: 'lab' });
    expect(app.wire.requests).toHaveLength(1);
    expect(lab.requests.map(({ path }) => path)).toEqual([
      '/fhir/R4/ProjectMembership?profile=ClientApplication%2Fclient-2&_elements=admin',
    ]);
    expect(app.events.map(({ client }) => client).toSorted()).toEqual(['default', 'lab']);
    expect(log.text('warn')).toContain('The Medplum client "lab" is down');
  });

  it('do not include the one whose name is misspelt: that is an error', async () => {
    await start(healthy);
    await expect(indicator.isHealthy('medplum', { client: 'lob' })).rejects.toThrow(MedplumConfigError);
    await expect(indicator.isHealthy('medplum', { client: 'lob' })).rejects.toThrow(/"lob".*MedplumModule\.forRoot/);
  });

  it('do not always include one without a name: that is an error too', async () => {
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot({ ...lab.options(), name: 'lab' }), MedplumHealthModule],
    }).compile();
    try {
      const check = module.get(MedplumHealthIndicator).isHealthy('medplum');
      await expect(check).rejects.toThrow(/without a name.*isHealthy\(key, \{ client \}\)/);
    } finally {
      await module.close();
    }
  });
});

it.each<readonly [unknown, RegExp]>([
  [{ ttl: 0 }, /ttl must be a number of milliseconds/],
  [{ timeout: '3s' }, /timeout must be a number of milliseconds/],
  [{ timeout: -1, tll: 1 }, /timeout must be[^]*tll is not an option\. Did you mean ttl\?/],
  [null, /takes an object of options/],
])('The options must not be %j', (options, why) => {
  const define = () => MedplumHealthModule.forRoot(options as MedplumHealthModuleOptions);
  expect(define).toThrow(MedplumConfigError);
  expect(define).toThrow(why);
});

it('An option that is undefined takes its default', async () => {
  await start(healthy, { ttl: undefined, timeout: undefined });
  expect(await isHealthy()).toEqual(UP);
});
