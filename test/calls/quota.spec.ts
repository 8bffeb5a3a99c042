import { AsyncLocalStorage } from 'node:async_hooks';
import { Controller, Get } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import * as fc from 'fast-check';
import {
  isMedplumError,
  MedplumAudit,
  MedplumAuditEventSink,
  MedplumAbortError,
  MedplumConfigError,
  MedplumConnectionError,
  MedplumModule,
  MedplumOverloadError,
  type MedplumQuotaOptions,
  MedplumService,
  MedplumTimeoutError,
  OnBehalfOf,
} from 'nestjs-medplum';
import { MedplumHealthIndicator, MedplumHealthModule } from 'nestjs-medplum/terminus';
import { Test } from '@nestjs/testing';
import { closeAll } from '../support/close-all';
import { type Gate, gate } from '../support/gate';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { listen } from '../support/platforms';
import { until } from '../support/until';
import { resourceAsked, type WireAnswer, type WireHandler, WireServer } from '../support/wire-server';

let app: MedplumApp | undefined;
/** While it is closed, the server responds to nothing. */
let server: Gate;

const held: WireHandler = async (request) => {
  await server.opened;
  return { body: resourceAsked(request) };
};

const withMemberships: WireHandler = (request) => {
  const reference = new URLSearchParams(request.path.split('?')[1]).get('profile');
  const id = `m-${reference?.at(-1)}`;
  const accessPolicy = { reference: 'AccessPolicy/1' };
  const resource = { resourceType: 'ProjectMembership', id, profile: { reference }, accessPolicy };
  return {
    body: reference ? { resourceType: 'Bundle', type: 'searchset', entry: [{ resource }] } : resourceAsked(request),
  };
};

const headers = { ratelimit: ['"requests";r=59998;t=60', '"fhirInteractions";r=48497;t=4'] };

const healthy: WireHandler = () => ({
  headers,
  body: {
    resourceType: 'Bundle',
    type: 'searchset',
    entry: [{ resource: { resourceType: 'ProjectMembership', id: 'm1', admin: true } }],
  },
});

beforeEach(() => (server = gate()));
afterEach(async () => {
  server.open();
  await app?.close();
  app = undefined;
});

async function start(quota: MedplumQuotaOptions | true | undefined, handler: WireHandler = held, more = {}) {
  app = await startMedplumApp({ quota, ...more }, { handler });
  return app;
}

const read = ({ medplum }: MedplumApp, user: string, more = {}) =>
  medplum.readResource('Patient', '1', { onBehalfOf: `Patient/${user}`, ...more });

describe('With the option quota', () => {
  it('users take turns, and each keeps the order of its calls', async () => {
    const { wire, ...rest } = await start({ maxConcurrent: 1 });
    const calls = ['greedy', 'greedy', 'greedy', 'modest', 'other', 'modest'].map((user) =>
      read({ wire, ...rest }, user),
    );
    await wire.received(1);
    expect(rest.medplum.quota).toEqual({ running: 1, queued: 5 });
    server.open();
    await Promise.all(calls);
    const users = wire.identities.map((identity) => identity?.replace('Patient/', ''));
    expect(users).toEqual(['greedy', 'modest', 'other', 'greedy', 'modest', 'greedy']);
    expect(rest.medplum.quota).toEqual({ running: 0, queued: 0 });
  });

  it('a call goes on in its own async context after it has waited', async () => {
    const running = await start({ maxConcurrent: 2, maxConcurrentPerIdentity: 1 });
    const own = new AsyncLocalStorage<string>();
    const seen = ['a', 'b', 'c', 'a', 'b', 'c'].map((user, index) =>
      own.run(`${user}${index}`, async () => {
        await read(running, user);
        return own.getStore();
      }),
    );
    server.open();
    expect(await Promise.all(seen)).toEqual(['a0', 'b1', 'c2', 'a3', 'b4', 'c5']);
  });

  it('the wait counts towards the time limit of the call, and towards its duration', async () => {
    const running = await start({ maxConcurrent: 1 });
    const first = read(running, 'a');
    const late = read(running, 'b', { timeout: 50 });
    await expect(late).rejects.toThrow(MedplumTimeoutError);
    await expect(late).rejects.toMatchObject({
      message: expect.stringContaining('did not get its turn') as string,
      effect: 'none',
      retryable: true,
    });
    expect(running.events).toMatchObject([{ outcome: 'refused', attempts: [], onBehalfOf: 'Patient/b' }]);
    expect(running.events[0]?.durationMs).toBeGreaterThanOrEqual(45);
    server.open();
    await first;
    expect(running.wire.identities).toEqual(['Patient/a']);
  });

  it('a waiting call can be aborted', async () => {
    const running = await start({ maxConcurrent: 1 });
    const first = read(running, 'a');
    const abort = new AbortController();
    const second = read(running, 'b', { signal: abort.signal });
    abort.abort();
    await expect(second).rejects.toThrow(MedplumAbortError);
    expect(running.medplum.quota.queued).toBe(0);
    server.open();
    await first;
  });

  it('shutdown ends the calls that wait', async () => {
    const running = await start({ maxConcurrent: 1 }, held, { shutdownTimeout: 50 });
    const calls = Promise.allSettled([read(running, 'a'), read(running, 'b'), read(running, 'c')]);
    await running.wire.received(1);
    await running.close();
    app = undefined;
    for (const call of await calls) {
      expect((call as PromiseRejectedResult).reason).toBeInstanceOf(MedplumConnectionError);
    }
    expect(running.wire.identities).toEqual(['Patient/a']);
    expect(running.medplum.quota).toMatchObject({ running: 0, queued: 0 });
  });

  it('a call that does not fit is refused with one event, and nothing is sent', async () => {
    const running = await start({ maxConcurrent: 1, maxQueued: 0 });
    const first = read(running, 'a');
    const second = read(running, 'b');
    await expect(second).rejects.toThrow(MedplumOverloadError);
    await expect(second).rejects.toMatchObject({ effect: 'none', retryable: true, retryAfter: 1_000 });
    expect(running.events).toMatchObject([
      { outcome: 'refused', onBehalfOf: 'Patient/b', attempts: [], error: { code: 'MEDPLUM_OVERLOADED' } },
    ]);
    server.open();
    await first;
  });

  it('a call that waits before a retry does not keep its place', async () => {
    let calls = 0;
    const running = await start({ maxConcurrent: 1 }, (request): WireAnswer => {
      calls++;
      return calls === 1 ? { status: 503, headers: { 'retry-after': '1' } } : { body: resourceAsked(request) };
    });
    const order: string[] = [];
    await Promise.all(['a', 'b'].map((user) => read(running, user).then(() => order.push(user))));
    expect(order).toEqual(['b', 'a']);
  });

  it('a download gives its place back when the response begins, so a slow reader holds nobody up', async () => {
    const running = await start({ maxConcurrent: 1 }, ({ path }) => ({
      headers: { 'content-type': path.includes('Binary') ? 'text/plain' : 'application/fhir+json' },
      body: path.includes('Binary') ? 'x'.repeat(1_000_000) : { resourceType: 'Patient', id: '1' },
    }));
    const { stream } = await running.medplum.binaries.download('1', { onBehalfOf: 'Patient/a' });
    await expect(read(running, 'b')).resolves.toMatchObject({ id: '1' });
    stream.destroy();
  });

  it('look-ups of the membership check queue as the user, and hold nobody up', async () => {
    const running = await start({ maxConcurrent: 1 }, withMemberships, { membershipCheck: true });
    await expect(Promise.all(['a', 'b', 'c', 'a'].map((user) => read(running, user)))).resolves.toHaveLength(4);
    expect(running.medplum.quota).toMatchObject({ running: 0, queued: 0 });
  });

  it('the calls of a sink do not queue, so the record of a refusal is written while the queue is full', async () => {
    const running = await start({ maxConcurrent: 1, maxQueued: 1 }, async (request) => {
      await server.opened;
      const { entry = [] } = JSON.parse(request.body || '{}') as { entry?: readonly unknown[] };
      const stored = entry.map(() => ({ response: { status: '201' } }));
      return {
        body:
          entry.length > 0 ? { resourceType: 'Bundle', type: 'batch-response', entry: stored } : resourceAsked(request),
      };
    });
    running.module.get(MedplumAudit).addSink(new MedplumAuditEventSink(running.medplum));
    const calls = ['a', 'b'].map((user) => read(running, user));
    await expect(read(running, 'c')).rejects.toThrow(MedplumOverloadError);
    await running.wire.received(2);
    expect(running.wire.identities).toEqual(['Patient/a', undefined]);
    server.open();
    await Promise.all(calls);
  });

  it('waits for the reset that the server announces, instead of running into a 429', async () => {
    const since = performance.now();
    let requests = 0;
    const running = await start({}, (request) => {
      const isOver = performance.now() - since > 900;
      requests++;
      return isOver || requests === 1
        ? { headers: { ratelimit: `"fhirInteractions";r=0;t=1` }, body: resourceAsked(request) }
        : { status: 429 };
    });
    await read(running, 'a');
    expect(running.medplum.quota).toMatchObject({ remaining: { fhirInteractions: 0 }, running: 0, queued: 0 });
    await expect(read(running, 'a', { timeout: 200 })).rejects.toMatchObject({ code: 'MEDPLUM_OVERLOADED' });
    await expect(read(running, 'b')).resolves.toMatchObject({ id: '1' });
    expect(running.events.flatMap(({ attempts }) => attempts.map(({ status }) => status))).toEqual([200, 200]);
  });

  it('loses no place, however calls end', async () => {
    let answers: readonly number[] = [];
    const running = await start({ maxConcurrent: 3, maxConcurrentPerIdentity: 2, maxQueued: 6 }, (request) => {
      const kind = answers[Number(request.headers['x-request-id'])] ?? 0;
      const all: WireAnswer[] = [
        { body: resourceAsked(request) },
        { status: 404 },
        { destroy: true },
        { delay: 30, body: resourceAsked(request) },
        { status: 503 },
        { body: 'not JSON' },
      ];
      return all[kind];
    });
    const one = fc.record({
      user: fc.constantFrom('a', 'b', 'c'),
      answer: fc.integer({ min: 0, max: 5 }),
      timeout: fc.constantFrom(5, 20_000),
      abortAfter: fc.constantFrom(undefined, 0, 3),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 14 }), async (calls) => {
        answers = calls.map(({ answer }) => answer);
        const settled = await Promise.allSettled(
          calls.map(({ user, timeout, abortAfter }, index) => {
            const signal = abortAfter === undefined ? undefined : AbortSignal.timeout(abortAfter);
            const options = { headers: { 'x-request-id': `${index}` }, retry: { maxRetries: 1, minTimeout: 1 } };
            return read(running, user, { ...options, timeout, signal });
          }),
        );
        for (const result of settled) {
          expect(result.status === 'fulfilled' || isMedplumError(result.reason)).toBe(true);
        }
        expect(running.medplum.quota).toMatchObject({ running: 0, queued: 0 });
      }),
      { numRuns: 25 },
    );
    await expect(Promise.all(['a', 'b', 'c'].map((user) => read(running, user)))).resolves.toHaveLength(3);
  });
});

it('is 503 with Retry-After for the client of the app', async () => {
  @Controller()
  @OnBehalfOf('Patient/a')
  class Charts {
    constructor(private readonly medplum: MedplumService) {}

    @Get()
    chart() {
      return this.medplum.readResource('Patient', '1');
    }
  }
  const wire = await WireServer.start(held);
  const quota = { maxConcurrent: 1, maxQueued: 0 };
  const module = await Test.createTestingModule({
    imports: [MedplumModule.forRoot(wire.options({ quota }))],
    controllers: [Charts],
  }).compile();
  const { app: nest, url } = await listen(module, 'express', (starting) => starting.useLogger(false));
  const first = fetch(url);
  await wire.received(1);
  const second = await fetch(url);
  expect([second.status, second.headers.get('retry-after')]).toEqual([503, '1']);
  server.open();
  expect((await first).status).toBe(200);
  await closeAll(nest, wire);
});

describe('What is left', () => {
  const remaining = { requests: 59_998, fhirInteractions: 48_497 };

  it('is known without the option as well', async () => {
    const { medplum, ...rest } = await start(undefined, (request) => ({ headers, body: resourceAsked(request) }));
    expect(medplum.quota).toEqual({ running: 0, queued: 0 });
    await read({ medplum, ...rest }, 'a');
    expect(medplum.quota).toEqual({ remaining, resetsAt: expect.any(Date) as Date, running: 0, queued: 0 });
    expect(Number(medplum.quota.resetsAt) - Date.now()).toBeGreaterThan(55_000);
  });

  it('is part of a health check that asks for it', async () => {
    app = await startMedplumApp({}, { handler: healthy, imports: [TerminusModule, MedplumHealthModule] });
    const indicator = app.module.get(MedplumHealthIndicator);
    expect(await indicator.isHealthy('medplum')).toEqual({ medplum: { status: 'up' } });
    expect(await indicator.isHealthy('medplum', { quota: true })).toMatchObject({
      medplum: { status: 'up', quota: { remaining, running: 0, queued: 0 } },
    });
  });

  it('lets a health check through while the queue is full', async () => {
    const quota = { maxConcurrent: 1, maxQueued: 0 };
    app = await startMedplumApp({ quota }, { handler: held, imports: [TerminusModule, MedplumHealthModule] });
    const first = read(app, 'a');
    const health = app.module.get(MedplumHealthIndicator).isHealthy('medplum');
    await until(() => app?.wire.requests.length === 2);
    server.open();
    await first;
    expect(await health).toMatchObject({ medplum: { status: 'down' } });
  });
});

it.each([{ maxConcurrent: 0 }, { maxQueued: -1 }, { maxConcurent: 3 }, 7, { pace: 1 }])(
  'refuses the option %j',
  async (quota) => {
    const options = { clientId: 'client', clientSecret: 'secret', quota: quota as MedplumQuotaOptions };
    const module = Test.createTestingModule({ imports: [MedplumModule.forRoot(options)] });
    await expect(module.compile()).rejects.toThrow(MedplumConfigError);
  },
);
