import { EventEmitter } from 'node:events';
import { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import { text } from 'node:stream/consumers';
import * as fc from 'fast-check';
import {
  defer,
  firstValueFrom,
  from,
  interval,
  lastValueFrom,
  map,
  mergeMap,
  of,
  retry,
  take,
  throwError,
  toArray,
} from 'rxjs';
import { type MedplumService, OnBehalfOfReferenceError, OnBehalfOfRequiredError } from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { seededRandom } from '../support/seeded-random';
import { resourceAsked, type WireRequest } from '../support/wire-server';

let app: MedplumApp;
let medplum: MedplumService;

beforeEach(async () => {
  app = await startMedplumApp();
  ({ medplum } = app);
});

afterEach(async () => {
  await app.close();
});

const read = () => medplum.readResource('Patient', '1');
const current = () => medplum.currentOnBehalfOf;

async function* ids(): AsyncGenerator<string | undefined> {
  yield current();
  await read();
  yield current();
}

describe('Scopes', () => {
  it('nest, and restore the outer identity after a return, a throw and a rejection', async () => {
    await medplum.onBehalfOf('a', async () => {
      expect(medplum.onBehalfOf('b', current)).toBe('ProjectMembership/b');
      expect(current()).toBe('ProjectMembership/a');
      expect(() =>
        medplum.onBehalfOf('b', () => {
          throw new RangeError();
        }),
      ).toThrow(RangeError);
      expect(current()).toBe('ProjectMembership/a');
      await expect(
        medplum.onBehalfOf('b', async () => {
          await read();
          throw new RangeError();
        }),
      ).rejects.toThrow(RangeError);
      expect(current()).toBe('ProjectMembership/a');
      medplum.asClientApplication(() => expect(current()).toBeUndefined());
      expect(current()).toBe('ProjectMembership/a');
    });
    expect(current()).toBeUndefined();
    expect(app.wire.identities).toEqual(['ProjectMembership/b']);
  });

  it('keep two concurrent callers apart, also in what they start after they returned', async () => {
    const names = Array.from({ length: 40 }, (_, i) => `m${i}`);
    const random = seededRandom();
    app.wire.handler = (request: WireRequest) => ({ delay: random() * 10, body: resourceAsked(request) });
    await Promise.all(
      names.map((name) =>
        medplum.onBehalfOf(name, async () => {
          for (const id of ['1', '2', '3']) {
            await medplum.readResource('Patient', `${name}-${id}`);
            await new Promise((resolve) => setImmediate(resolve));
            expect(current()).toBe(`ProjectMembership/${name}`);
          }
        }),
      ),
    );
    expect(app.wire.requests).toHaveLength(120);
    for (const { path, onBehalfOf } of app.wire.requests) {
      expect(onBehalfOf).toBe(`ProjectMembership/${/(m\d+)-/.exec(path)?.[1]}`);
    }
  });

  it('open and close in any order of nesting, and leave nothing behind', async () => {
    type Step = { readonly who: string; readonly inner: readonly Step[]; readonly fails: boolean };
    const { step } = fc.letrec<{ step: Step }>((tie) => ({
      step: fc.record({
        who: fc.constantFrom('a', 'b', 'c'),
        inner: fc.oneof({ maxDepth: 3 }, fc.constant([]), fc.array(tie('step'), { maxLength: 3 })),
        fails: fc.boolean(),
      }),
    }));
    const walk = async ({ who, inner, fails }: Step): Promise<void> => {
      const outer = current();
      const seen: unknown[] = [];
      const done = medplum.onBehalfOf(who, async () => {
        seen.push(current());
        await Promise.all(inner.map(walk));
        seen.push(current());
        if (fails) throw new RangeError();
      });
      const [{ status }] = await Promise.allSettled([done]);
      expect([status, ...seen]).toEqual([
        fails ? 'rejected' : 'fulfilled',
        `ProjectMembership/${who}`,
        `ProjectMembership/${who}`,
      ]);
      expect(current()).toBe(outer);
    };
    await fc.assert(fc.asyncProperty(step, walk), { numRuns: 50 });
  });
});

describe('The identity is pinned when the call is made', () => {
  it('also when the request waits for a connection and is retried', async () => {
    let answers = 0;
    app.wire.handler = () => (answers++ === 0 ? { status: 503 } : { body: { resourceType: 'Patient', id: '1' } });
    const reading = medplum.onBehalfOf('a', read);
    await medplum.onBehalfOf('b', () => reading);
    expect(app.wire.identities).toEqual(['ProjectMembership/a', 'ProjectMembership/a']);
    expect(app.events[0]?.attempts.map((attempt) => attempt.onBehalfOf)).toEqual(app.wire.identities);
  });
});

describe('What a scope returns keeps its identity', () => {
  it('an Observable, subscribed to elsewhere, and again by retry', async () => {
    let failures = 1;
    const patients$ = medplum.onBehalfOf('a', () =>
      defer(() => from(read())).pipe(
        map(() => current()),
        mergeMap((who) => (failures-- > 0 ? throwError(() => new RangeError()) : of(who))),
      ),
    );
    await medplum.onBehalfOf('b', async () => {
      expect(await lastValueFrom(patients$.pipe(retry(1)))).toBe('ProjectMembership/a');
    });
    expect(app.wire.identities).toEqual(['ProjectMembership/a', 'ProjectMembership/a']);
  });

  it('an Observable whose subscription ends from outside', async () => {
    const ticks$ = medplum.onBehalfOf('a', () => interval(1).pipe(map(() => current())));
    expect(await firstValueFrom(ticks$.pipe(take(3), toArray()))).toEqual(Array(3).fill('ProjectMembership/a'));
  });

  it('an async iterator that is created in A and consumed in B or outside', async () => {
    const inB = medplum.onBehalfOf('a', ids);
    const outside = medplum.onBehalfOf('a', ids);
    const seen: unknown[] = [];
    await medplum.onBehalfOf('b', async () => {
      for await (const who of inB) seen.push(who, current());
    });
    for await (const who of outside) seen.push(who, current());
    expect(seen).toEqual([
      'ProjectMembership/a',
      'ProjectMembership/b',
      'ProjectMembership/a',
      'ProjectMembership/b',
      'ProjectMembership/a',
      undefined,
      'ProjectMembership/a',
      undefined,
    ]);
    expect(app.wire.identities).toEqual(['ProjectMembership/a', 'ProjectMembership/a']);
  });

  it('an async iterator that is left early, whose finally block runs inside', async () => {
    let atEnd: unknown;
    const endless = medplum.onBehalfOf('a', async function* () {
      try {
        for (;;) yield 1;
      } finally {
        atEnd = current();
      }
    });
    for await (const one of endless) {
      expect(one).toBe(1);
      break;
    }
    expect(atEnd).toBe('ProjectMembership/a');
  });

  it('a stream, and the value of a promise', async () => {
    const stream = await medplum.onBehalfOf('a', async () => Readable.from(ids()));
    expect(await medplum.onBehalfOf('b', () => text(stream))).toBe('ProjectMembership/a'.repeat(2));
    expect(app.wire.identities).toEqual(['ProjectMembership/a']);
  });

  it('a web stream that is pulled elsewhere, to its end or not', async () => {
    const cancelled = jest.fn();
    const make = () =>
      medplum.onBehalfOf('a', () => {
        let left = 2;
        return new ReadableStream<unknown>(
          {
            pull: async (controller) => {
              await read();
              controller.enqueue(current());
              if (--left === 0) controller.close();
            },
            cancel: () => cancelled(current()),
          },
          { highWaterMark: 0 },
        );
      });
    const [whole, cut] = [make(), make()];
    const seen: unknown[] = [];
    await medplum.onBehalfOf('b', async () => {
      for await (const who of whole) seen.push(who);
      await cut.cancel();
    });
    expect(seen).toEqual(['ProjectMembership/a', 'ProjectMembership/a']);
    expect(app.wire.identities).toEqual(seen);
    expect(cancelled).toHaveBeenCalledWith('ProjectMembership/a');
  });
});

describe('bind()', () => {
  it('keeps the current identity across emitters and timers', async () => {
    const emitter = new EventEmitter();
    const done = new Promise<unknown>((resolve) => {
      medplum.onBehalfOf('a', () =>
        emitter.once(
          'ready',
          medplum.bind((value: string) => resolve([value, current()])),
        ),
      );
    });
    medplum.onBehalfOf('b', () => emitter.emit('ready', 'x'));
    expect(await done).toEqual(['x', 'ProjectMembership/a']);
  });

  it('keeps `this`, and the identity of a client from actingAs()', () => {
    const job = medplum.actingAs('job');
    const counter = {
      n: 1,
      get: job.bind(function (this: { n: number }) {
        return [this.n, job.currentOnBehalfOf];
      }),
    };
    expect(counter.get()).toEqual([1, 'ProjectMembership/job']);
  });

  it('is an error where there is no identity', () => {
    expect(() => medplum.bind(() => 1)).toThrow(OnBehalfOfRequiredError);
  });
});

it('does not call the function of a scope with a malformed identity', () => {
  const fn = jest.fn();
  expect(() => medplum.onBehalfOf('a,b', fn)).toThrow(OnBehalfOfReferenceError);
  expect(fn).not.toHaveBeenCalled();
});
