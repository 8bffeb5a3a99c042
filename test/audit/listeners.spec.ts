import { AsyncLocalStorage } from 'node:async_hooks';
import { Logger } from '@nestjs/common';
import {
  bufferCount,
  concatMap,
  filter,
  finalize,
  from,
  map,
  mergeMap,
  type Observable,
  share,
  Subject,
  switchMap,
  take,
  tap,
} from 'rxjs';
import { MedplumAudit, type RequestEvent } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { troubleIn } from '../support/trouble';

let app: MedplumApp;
let warn: jest.SpyInstance;

beforeEach(async () => {
  warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  app = await startMedplumApp();
});

afterEach(async () => {
  await app.close();
  warn.mockRestore();
});

const read = () => app.medplum.readResource('Patient', '1', { onBehalfOf: 'm-1' });
const fail = (): never => {
  throw new TypeError('taint: Homer Simpson');
};
const rejection = () => Promise.reject(new TypeError('taint: Homer Simpson'));
/** An async listener. Its type does not show that it is async. */
const rejects = rejection as () => unknown;

/** Listeners that fail, each in its own way. */
const BROKEN: readonly (readonly [string, (events$: Observable<RequestEvent>) => void])[] = [
  ['throws', (events$) => void events$.subscribe(fail)],
  ['throws in an observer', (events$) => void events$.subscribe({ next: fail })],
  ['rejects', (events$) => void events$.subscribe(rejects)],
  ['rejects in an observer', (events$) => void events$.subscribe({ next: rejects })],
  ['throws behind pipe()', (events$) => void events$.pipe(map(({ id }) => id)).subscribe(fail)],
  ['rejects behind pipe()', (events$) => void events$.pipe(filter(() => true)).subscribe(rejects)],
  ['throws in an operator', (events$) => void events$.pipe(map(fail)).subscribe()],
  ['throws in tap', (events$) => void events$.pipe(tap(fail)).subscribe(() => undefined)],
  ['throws in a late operator', (events$) => void events$.pipe(bufferCount(1), map(fail), take(5)).subscribe()],
  ['rejects in concatMap', (events$) => void events$.pipe(concatMap(rejection)).subscribe()],
  ['rejects in mergeMap', (events$) => void events$.pipe(mergeMap(() => from(rejection()))).subscribe()],
  ['throws in switchMap', (events$) => void events$.pipe(switchMap(fail)).subscribe()],
  ['throws behind share()', (events$) => void events$.pipe(share()).subscribe(fail)],
  ['throws in its error handler', (events$) => void events$.pipe(map(fail)).subscribe({ error: fail })],
  ['rejects in its error handler', (events$) => void events$.pipe(map(fail)).subscribe({ error: rejects })],
  ['throws when it completes', (events$) => void events$.pipe(take(1)).subscribe({ complete: fail })],
  ['throws while it is torn down', (events$) => void events$.pipe(take(1), finalize(fail)).subscribe()],
  ['throws when it unsubscribes', (events$) => events$.pipe(take(1)).subscribe().add(fail)],
  ['has the old form with three functions', (events$) => void events$.subscribe(fail, fail, fail)],
  [
    'throws in the getter of a handler',
    (events$) =>
      void events$.subscribe({
        get next() {
          return fail();
        },
      }),
  ],
];

describe('A listener that fails', () => {
  it.each(BROKEN)('harms neither the call nor another listener: it %s', async (_how, listen) => {
    const { events$ } = app.module.get(MedplumAudit);
    const before: string[] = [];
    const after: string[] = [];
    events$.subscribe(({ id }) => before.push(id));
    const trouble = await troubleIn(async () => {
      listen(events$);
      events$.subscribe(({ id }) => after.push(id));
      await expect(read()).resolves.toMatchObject({ id: '1' });
      await expect(read()).resolves.toMatchObject({ id: '1' });
    });
    expect(trouble).toEqual([]);
    expect(before).toEqual(app.events.map(({ id }) => id));
    expect(after).toEqual(before);
    expect(before).toHaveLength(2);
  });

  it.each(BROKEN)(
    'keeps neither the app from shutting down nor other listeners from completing: it %s',
    async (_how, listen) => {
      const { events$ } = app.module.get(MedplumAudit);
      const ended = jest.fn();
      const trouble = await troubleIn(async () => {
        listen(events$);
        events$.subscribe({ complete: ended });
        await app.module.close();
      });
      expect(trouble).toEqual([]);
      expect(ended).toHaveBeenCalledTimes(1);
    },
  );

  it('is logged with the class of its error, not with its message', async () => {
    app.module.get(MedplumAudit).events$.subscribe(fail);
    await read();
    expect(warn).toHaveBeenCalledTimes(1);
    expect(String(warn.mock.calls[0])).toContain('TypeError');
    expect(String(warn.mock.calls[0])).not.toContain('taint');
  });

  it('still gets the next event, unless an operator of its pipe failed', async () => {
    const { events$ } = app.module.get(MedplumAudit);
    const simple = jest.fn(fail);
    const piped = jest.fn(fail);
    events$.subscribe(simple);
    events$.pipe(map(piped)).subscribe();
    await read();
    await read();
    expect(simple).toHaveBeenCalledTimes(2);
    expect(piped).toHaveBeenCalledTimes(1);
  });
});

describe('A listener', () => {
  it('runs outside every scope, without an identity and without the stores of the app', async () => {
    const store = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const look = () => seen.push([app.medplum.currentOnBehalfOf, store.getStore()]);
    const { events$ } = app.module.get(MedplumAudit);
    events$.subscribe(look);
    events$.pipe(map((event) => event)).subscribe(look);
    await store.run('request', () =>
      app.medplum.onBehalfOf('m-1', async () => {
        // A listener that is added inside a scope does not run in it either.
        events$.subscribe(look);
        await app.medplum.readResource('Patient', '1');
        await app.medplum.readResource('Patient', '/').catch(() => undefined);
      }),
    );
    expect(seen).toEqual(Array.from({ length: 6 }, () => [undefined, undefined]));
  });

  it('that calls Medplum has to name an identity', async () => {
    const { events$ } = app.module.get(MedplumAudit);
    const results: unknown[] = [];
    events$.pipe(take(1)).subscribe(() => {
      results.push(
        app.medplum.createResource({ resourceType: 'AuditEvent' } as never).catch((error: unknown) => error),
      );
    });
    await app.medplum.onBehalfOf('m-1', () => app.medplum.readResource('Patient', '1'));
    await expect(results[0]).resolves.toMatchObject({ code: 'MEDPLUM_ON_BEHALF_OF_REQUIRED' });
    expect(app.wire.requests).toHaveLength(1);
  });

  it('may be a Subject', async () => {
    const subject = new Subject<RequestEvent>();
    const heard: string[] = [];
    subject.subscribe(({ action }) => heard.push(action));
    app.module.get(MedplumAudit).events$.subscribe(subject);
    await read();
    expect(heard).toEqual(['read']);
  });

  it('gets no more events after it unsubscribes', async () => {
    const next = jest.fn();
    const subscription = app.module.get(MedplumAudit).events$.subscribe(next);
    await read();
    subscription.unsubscribe();
    await read();
    expect(next).toHaveBeenCalledTimes(1);
  });
});
