import { getEventListeners } from 'node:events';
import { MedplumAbortError, MedplumTimeoutError } from 'nestjs-medplum';
import { failureOf } from '../support/failure-of';
import { statusLines, withHeldTimers } from '../support/held-timers';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { troubleIn } from '../support/trouble';
import { FAULTS, hanging } from '../support/wire-faults';
import { resourceAsked } from '../support/wire-server';

const OK = { body: { resourceType: 'Patient', id: '1' } };

let app: MedplumApp;

afterEach(() => app.close());

describe('The timeout of a call', () => {
  it('covers all its attempts and the waits between them', async () => {
    let requests = 0;
    app = await startMedplumApp(
      { timeout: 500, retry: { minTimeout: 1 } },
      { handler: () => (++requests === 1 ? { status: 503 } : undefined) },
    );
    const error = await failureOf(app.medplum.readResource('Patient', '1', { onBehalfOf: 'm-1' }));
    expect(error).toBeInstanceOf(MedplumTimeoutError);
    expect(app.events.at(-1)?.attempts).toMatchObject([{ status: 503 }, { error: 'TIMEOUT' }]);
  });

  it('may end while a response arrives: its status is known', async () => {
    app = await startMedplumApp({ timeout: 800 }, { handler: FAULTS['hang in the body'] });
    await withHeldTimers(async (pass) => {
      const answered = statusLines(1);
      const failure = failureOf(app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf: 'm-1' }));
      await answered;
      pass(800);
      expect(await failure).toMatchObject({ code: 'MEDPLUM_TIMEOUT', status: 200, effect: 'happened' });
    });
    expect(app.events).toMatchObject([{ status: 200, attempts: [{ status: 200, error: 'TIMEOUT' }] }]);
  });

  it('covers what precedes the first attempt', async () => {
    const now = performance.now.bind(performance);
    let elapsed = 0;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now() + elapsed);
    const { arrived, handler } = hanging();
    const beforeRequest = (): void => void (elapsed = 50_000);
    app = await startMedplumApp({ timeout: 60_000, beforeRequest }, { handler });
    try {
      await withHeldTimers(async (pass) => {
        const failure = failureOf(app.medplum.readResource('Patient', '1', { onBehalfOf: 'm-1' }));
        await arrived;
        pass(10_000);
        expect(await failure).toBeInstanceOf(MedplumTimeoutError);
      });
    } finally {
      clock.mockRestore();
    }
  });

  it('is the one of the call, else the one of the client', async () => {
    app = await startMedplumApp({ timeout: 100 }, { handler: () => ({ ...OK, delay: 300 }) });
    const options = { onBehalfOf: 'm-1' };
    await expect(app.medplum.readResource('Patient', '1', options)).rejects.toBeInstanceOf(MedplumTimeoutError);
    const patient = app.medplum.readResource('Patient', '1', { ...options, timeout: 20_000 });
    await expect(patient).resolves.toMatchObject({ id: '1' });
  });

  it('covers a secret that never comes; nothing was sent then', async () => {
    app = await startMedplumApp({ clientSecret: () => new Promise(() => undefined), timeout: 50 });
    const error = await failureOf(app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf: 'm-1' }));
    expect(error).toBeInstanceOf(MedplumTimeoutError);
    expect(error.effect).toBe('none');
    expect(app.wire.requests).toHaveLength(0);
    expect(app.events.at(-1)).toMatchObject({ outcome: 'refused', attempts: [] });
  });

  it('covers the wait for a connection; what was given up then is not sent later', async () => {
    const release: (() => void)[] = [];
    const { arrived, handler } = hanging();
    app = await startMedplumApp(
      { pool: { connections: 1 } },
      {
        handler: async (request, response) => {
          if (request.path.endsWith('/slow')) {
            await handler(request, response);
            await new Promise<void>((resolve) => release.push(resolve));
          }
          return { body: resourceAsked(request) };
        },
      },
    );
    const slow = app.medplum.readResource('Patient', 'slow', { onBehalfOf: 'm-1' });
    await arrived;
    const starved = [
      app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf: 'm-2', timeout: 30 }),
      app.medplum.readResource('Patient', '2', { onBehalfOf: 'm-2', timeout: 30 }),
    ];
    for (const result of await Promise.allSettled(starved)) {
      expect(result).toMatchObject({ reason: { code: 'MEDPLUM_TIMEOUT', effect: 'none', retryable: true } });
    }
    release.forEach((resolve) => resolve());
    await slow;
    await app.medplum.readResource('Patient', '3', { onBehalfOf: 'm-3' });
    expect(app.wire.identities).toEqual(['ProjectMembership/m-1', 'ProjectMembership/m-3']);
  });
});

describe('The signal of a call', () => {
  it('ends it before it starts: nothing is sent', async () => {
    app = await startMedplumApp();
    const call = app.medplum.createResource(
      { resourceType: 'Patient' },
      { onBehalfOf: 'm-1', signal: AbortSignal.abort() },
    );
    const error = await failureOf(call);
    expect(error).toBeInstanceOf(MedplumAbortError);
    expect(error).toMatchObject({ effect: 'none', retryable: false });
    expect(app.wire.requests).toHaveLength(0);
    expect(app.events.at(-1)).toMatchObject({ outcome: 'refused', attempts: [] });
  });

  it('ends it on its way: a read did nothing, nobody knows about a write', async () => {
    for (const [write, effect] of [
      [false, 'none'],
      [true, 'unknown'],
    ] as const) {
      const { arrived, handler } = hanging();
      app = await startMedplumApp({}, { handler });
      const controller = new AbortController();
      const options = { onBehalfOf: 'm-1', signal: controller.signal };
      const call = write
        ? app.medplum.createResource({ resourceType: 'Patient' }, options)
        : app.medplum.readResource('Patient', '1', options);
      const result = failureOf(call);
      await arrived;
      controller.abort(new Error('taint'));
      const error = await result;
      expect(error).toBeInstanceOf(MedplumAbortError);
      expect(error).toMatchObject({ effect, retryable: false });
      expect(error.cause).toBeUndefined();
      expect(app.events).toHaveLength(1);
      expect(app.events[0]).toMatchObject({ outcome: 'error', effect, attempts: [{ error: 'ABORTED' }] });
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
      await app.close();
    }
  });

  it('ends the wait between two attempts', async () => {
    const controller = new AbortController();
    let requests = 0;
    app = await startMedplumApp(
      { timeout: 20_000 },
      {
        handler: () => {
          requests++;
          // The answer is on its way, or read, when the signal fires: the next attempt is nine seconds off at least.
          setTimeout(() => controller.abort(), 100);
          return { status: 503, headers: { 'retry-after': '9' } };
        },
      },
    );
    const call = app.medplum.readResource('Patient', '1', { onBehalfOf: 'm-1', signal: controller.signal });
    await expect(failureOf(call)).resolves.toBeInstanceOf(MedplumAbortError);
    expect(requests).toBe(1);
  });

  it('is let go when the call ends, well or badly', async () => {
    const { signal } = new AbortController();
    app = await startMedplumApp({ retry: { maxRetries: 0 } });
    const read = () => app.medplum.readResource('Patient', '1', { onBehalfOf: 'm-1', signal });
    await read();
    app.wire.handler = FAULTS['reset before headers'];
    await failureOf(read());
    await failureOf(app.medplum.readResource('Patient', '/', { onBehalfOf: 'm-1', signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('may be shared by many calls, as that of a request is, without a warning', async () => {
    const { signal } = new AbortController();
    app = await startMedplumApp();
    const trouble = await troubleIn(() =>
      Promise.all(
        Array.from({ length: 30 }, () => app.medplum.readResource('Patient', '1', { onBehalfOf: 'm-1', signal })),
      ),
    );
    expect(trouble).toEqual([]);
  });
});
