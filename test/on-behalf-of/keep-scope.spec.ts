import { Duplex, PassThrough, Readable } from 'node:stream';
import { ReadableStream, TransformStream, WritableStream } from 'node:stream/web';
import { finished } from 'node:stream/promises';
import { lastValueFrom, Observable, of, throwError } from 'rxjs';
import { OnBehalfOfRequiredError } from 'nestjs-medplum';
import { type KeptScope, keepScope } from '../../lib/on-behalf-of/keep-scope';

/** A scope that counts who keeps it open, and knows whether code runs inside it, as far as that is synchronous. */
class CountedScope implements KeptScope {
  holds = 1;
  isInside = false;

  enter<R>(callback: () => R): R {
    const before = this.isInside;
    this.isInside = true;
    try {
      return callback();
    } finally {
      this.isInside = before;
    }
  }

  hold(): void {
    this.holds++;
  }

  release(): void {
    this.holds--;
  }
}

let scope: CountedScope;

beforeEach(() => (scope = new CountedScope()));

describe('A scope whose function returns', () => {
  it.each([
    ['a value', 5],
    ['nothing', undefined],
    ['null', null],
    ['text', 'abc'],
    ['a list', [1, 2]],
    ['a Map', new Map()],
  ])('%s is over', (_what, value) => {
    expect(keepScope<unknown>(value, scope)).toBe(value);
    expect(scope.holds).toBe(0);
  });

  it('a promise is over when that has settled, well or badly', async () => {
    const kept = keepScope(Promise.resolve(5), scope);
    expect(scope.holds).toBe(1);
    await expect(kept).resolves.toBe(5);
    expect(scope.holds).toBe(0);
    scope.hold();
    await expect(keepScope(Promise.reject(new Error('own')), scope)).rejects.toThrow('own');
    expect(scope.holds).toBe(0);
  });

  it.each([
    ['a WritableStream', () => new WritableStream()],
    ['a TransformStream', () => new TransformStream()],
  ])('%s is refused, also when it comes from a promise', async (_what, make) => {
    expect(() => keepScope<unknown>(make(), scope)).toThrow(OnBehalfOfRequiredError);
    await expect(keepScope<Promise<unknown>>(Promise.resolve(make()), scope)).rejects.toThrow(OnBehalfOfRequiredError);
    expect(scope.holds).toBe(0);
  });
});

describe('An Observable', () => {
  it('runs inside, and holds the scope for each subscription', async () => {
    const inside: boolean[] = [];
    const kept = keepScope(
      new Observable<number>((subscriber) => {
        inside.push(scope.isInside);
        subscriber.next(1);
        return () => inside.push(scope.isInside);
      }),
      scope,
    );
    expect(scope.holds).toBe(1);
    const first = kept.subscribe();
    expect(scope.holds).toBe(1);
    const second = kept.subscribe();
    expect(scope.holds).toBe(2);
    first.unsubscribe();
    first.unsubscribe();
    expect(scope.holds).toBe(1);
    second.unsubscribe();
    expect(scope.holds).toBe(0);
    expect(inside.slice(0, 2)).toEqual([true, true]);
    await expect(lastValueFrom(keepScope(of(1, 2), new CountedScope()))).resolves.toBe(2);
  });

  it('releases the scope when it fails', async () => {
    await expect(
      lastValueFrom(
        keepScope(
          throwError(() => new Error('own')),
          scope,
        ),
      ),
    ).rejects.toThrow('own');
    expect(scope.holds).toBe(0);
  });
});

function* numbers(fails = false): Generator<boolean> {
  yield scope.isInside;
  if (fails) {
    throw new Error('own');
  }
  yield scope.isInside;
}

async function* slow(fails = false): AsyncGenerator<boolean> {
  yield scope.isInside;
  await Promise.resolve();
  if (fails) {
    throw new Error('own');
  }
}

describe('A generator', () => {
  it('is pulled inside, and releases the scope once, at its end', () => {
    const kept = keepScope(numbers(), scope);
    expect(kept.next()).toEqual({ done: false, value: true });
    expect(scope.holds).toBe(1);
    expect([...kept]).toEqual([true]);
    expect(scope.holds).toBe(0);
    expect(kept.next()).toMatchObject({ done: true });
    expect(scope.holds).toBe(0);
  });

  it('releases the scope when its reader stops', () => {
    for (const _ of keepScope(numbers(), scope)) {
      break;
    }
    expect(scope.holds).toBe(0);
  });

  it('releases the scope when it fails, and when its reader makes it fail', () => {
    expect(() => [...keepScope(numbers(true), scope)]).toThrow('own');
    expect(scope.holds).toBe(0);
    scope.hold();
    const kept = keepScope(numbers(), scope);
    kept.next();
    expect(() => kept.throw(new Error('given'))).toThrow('given');
    expect(scope.holds).toBe(0);
  });

  it('may be asynchronous', async () => {
    const seen: boolean[] = [];
    for await (const inside of keepScope(slow(), scope)) {
      expect(scope.holds).toBe(1);
      seen.push(inside);
    }
    expect(seen).toEqual([true]);
    expect(scope.holds).toBe(0);
  });

  it('may be asynchronous and fail', async () => {
    const kept = keepScope(slow(true), scope);
    await kept.next();
    expect(scope.holds).toBe(1);
    await expect(kept.next()).rejects.toThrow('own');
    expect(scope.holds).toBe(0);
  });

  it('keeps its other members, and begins anew where it is asked to', async () => {
    const pages = { total: 2, [Symbol.asyncIterator]: () => slow() };
    const kept = keepScope(pages, scope);
    expect(kept.total).toBe(2);
    for (let round = 0; round < 2; round++) {
      for await (const inside of kept) {
        expect(inside).toBe(true);
      }
      expect(scope.holds).toBe(0);
    }
  });
});

describe('A web stream', () => {
  it('is read inside, and releases the scope at its end', async () => {
    const seen: boolean[] = [];
    const source = new ReadableStream<number>(
      {
        pull: (controller) => {
          seen.push(scope.isInside);
          if (seen.length > 1) {
            controller.close();
          } else {
            controller.enqueue(1);
          }
        },
      },
      { highWaterMark: 0 },
    );
    const reader = keepScope(source, scope).getReader();
    await expect(reader.read()).resolves.toEqual({ done: false, value: 1 });
    expect(scope.holds).toBe(1);
    await expect(reader.read()).resolves.toMatchObject({ done: true });
    expect(scope.holds).toBe(0);
    expect(seen[0]).toBe(true);
  });

  it('releases the scope when it fails', async () => {
    const source = new ReadableStream<number>(
      { pull: (controller) => controller.error(new Error('own')) },
      { highWaterMark: 0 },
    );
    await expect(keepScope(source, scope).getReader().read()).rejects.toThrow('own');
    expect(scope.holds).toBe(0);
  });

  it('releases the scope when its reader gives up, which its source learns', async () => {
    const cancelled = jest.fn();
    const source = new ReadableStream<number>({ cancel: cancelled }, { highWaterMark: 0 });
    await keepScope(source, scope).cancel('enough');
    expect(cancelled).toHaveBeenCalledWith('enough');
    expect(scope.holds).toBe(0);
  });

  it('that somebody reads already is handed on', () => {
    const source = new ReadableStream<number>();
    source.getReader();
    expect(keepScope(source, scope)).toBe(source);
    expect(scope.holds).toBe(0);
  });
});

describe('A thenable', () => {
  /** Starts its work when it is awaited, as query builders do. */
  class Query {
    readonly table = 'patients';

    constructor(readonly seen: boolean[]) {}

    where(): Query {
      this.seen.push(scope.isInside);
      return new Query(this.seen);
    }

    count(): number {
      return 7;
    }

    // oxlint-disable-next-line unicorn/no-thenable -- what query builders are
    then(onFulfilled: (value: string) => unknown): void {
      this.seen.push(scope.isInside);
      onFulfilled('rows');
    }
  }

  it('starts its work inside, and so do those that it makes', async () => {
    const seen: boolean[] = [];
    const kept = keepScope(new Query(seen), scope);
    expect(kept.table).toBe('patients');
    const further = kept.where();
    expect(scope.holds).toBe(1);
    await expect(further).resolves.toBe('rows');
    expect(scope.holds).toBe(0);
    expect(seen).toEqual([true, true]);
  });

  it('holds the scope anew each time it is used', async () => {
    const kept = keepScope(new Query([]), scope);
    expect(kept.count()).toBe(7);
    expect(scope.holds).toBe(0);
    const work = Promise.resolve(kept);
    await Promise.resolve();
    expect(scope.holds).toBe(1);
    await work;
    expect(scope.holds).toBe(0);
  });

  it('releases the scope when it fails', async () => {
    const failing = {
      // oxlint-disable-next-line unicorn/no-thenable -- what query builders are
      then: (_resolve: unknown, reject: (error: Error) => void) => reject(new Error('own')),
    };
    await expect(Promise.resolve(keepScope(failing, scope))).rejects.toThrow('own');
    expect(scope.holds).toBe(0);
  });
});

describe('A Node stream', () => {
  it('does its work inside, and releases the scope when it is closed', async () => {
    const seen: boolean[] = [];
    const stream = new Readable({
      read() {
        seen.push(scope.isInside);
        this.push(null);
      },
    });
    expect(keepScope(stream, scope)).toBe(stream);
    expect(scope.holds).toBe(1);
    stream.resume();
    await finished(stream);
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual([true]);
    expect(scope.holds).toBe(0);
  });

  it('that transforms is one as well', () => {
    const stream = keepScope(new PassThrough(), scope);
    expect(scope.holds).toBe(1);
    stream.destroy();
  });

  it('that is a connection, or closed, keeps no scope open', async () => {
    const connection = new Duplex({ read: () => undefined, write: () => undefined });
    expect(keepScope(connection, scope)).toBe(connection);
    expect(scope.holds).toBe(0);
    connection.destroy();
    const closed = new PassThrough().destroy();
    await new Promise((resolve) => closed.once('close', resolve));
    scope.hold();
    expect(keepScope(closed, scope)).toBe(closed);
    expect(scope.holds).toBe(0);
  });
});
