import { Duplex, Stream, Transform } from 'node:stream';
import { ReadableStream, type ReadableStreamDefaultController, TransformStream, WritableStream } from 'node:stream/web';
import { isObservable, Observable } from 'rxjs';
import { OnBehalfOfRequiredError } from '../errors/on-behalf-of.errors';
import { isThenable } from '../shared/is-thenable';

/** A scope, or several, that lazy values are tied to. */
export interface KeptScope {
  /** Calls a function inside the scope. */
  enter<R>(callback: () => R): R;
  /** Keeps the scope open, until `release` is called as often. */
  hold(): void;
  release(): void;
}

/** Methods in which a Node stream does its work. They run in the context of whoever reads, writes or closes it. */
const STREAM_HOOKS = ['_read', '_write', '_writev', '_final', '_transform', '_flush', '_destroy'] as const;

/**
 * Ties everything lazy in `value` to a scope: whoever subscribes to an Observable, pulls an iterator, awaits a thenable or
 * uses a stream that was made inside the scope does so with its identity, never with their own. What a promise resolves
 * to is treated alike. The scope is released once, when the value is done; each further use holds it again.
 *
 * @throws OnBehalfOfRequiredError for web streams that are written to: nothing can tie them to the scope.
 */
export function keepScope<T>(value: T, scope: KeptScope): T {
  if (value instanceof Promise) {
    // Inside, because a lazy subclass of Promise starts its work when `then` is called.
    return scope.enter(() =>
      value.then(
        (settled: unknown) => keepSettled(settled, scope),
        (error: unknown) => {
          scope.release();
          throw error;
        },
      ),
    ) as T;
  }
  if (isObservable(value)) {
    return subscribeInside(value, scope) as T;
  }
  if (value instanceof Stream) {
    return keepStream(value, scope);
  }
  if (value instanceof ReadableStream) {
    return readInside(value as ReadableStream<unknown>, scope) as T;
  }
  if (value instanceof WritableStream || value instanceof TransformStream) {
    throw new OnBehalfOfRequiredError(
      'A scope returned a web stream that is written to. What it does with the data would run outside the scope. ' +
        'Create it outside, use a Node stream, or pass { onBehalfOf } to the calls in it.',
    );
  }
  if (isIterator(value)) {
    return pullInside(value, scope);
  }
  if (isThenable(value)) {
    return awaitInside(value, scope);
  }
  scope.release();
  return value;
}

function keepSettled(value: unknown, scope: KeptScope): unknown {
  try {
    return keepScope(value, scope);
  } catch (error) {
    scope.release();
    throw error;
  }
}

/** Holds the scope for each use but the first, for which it is held already. */
function uses(scope: KeptScope): { begin(): () => void } {
  let isFirst = true;
  return {
    begin() {
      if (!isFirst) {
        scope.hold();
      }
      isFirst = false;
      let isOver = false;
      return () => {
        if (!isOver) {
          isOver = true;
          scope.release();
        }
      };
    },
  };
}

function subscribeInside<T>(source: Observable<T>, scope: KeptScope): Observable<T> {
  const use = uses(scope);
  return new Observable((subscriber) => {
    subscriber.add(use.begin());
    scope.enter(() => source.subscribe(subscriber));
  });
}

/**
 * A Node stream is handed on as it is; the methods in which it does its work run inside. Not so a connection, such as a
 * socket: it outlives its scope and serves others, so what is read from it later must not run with the identity of
 * whoever opened it.
 */
function keepStream<T extends Stream>(stream: T, scope: KeptScope): T {
  const isConnection = stream instanceof Duplex && !(stream instanceof Transform);
  if (isConnection || (stream as { readonly closed?: boolean }).closed === true) {
    scope.release();
    return stream;
  }
  stream.once('close', () => scope.release());
  const hooks = stream as unknown as Record<string, unknown>;
  for (const name of STREAM_HOOKS) {
    const hook = hooks[name];
    if (typeof hook === 'function') {
      hooks[name] = (...args: unknown[]): unknown => scope.enter(() => Reflect.apply(hook, stream, args) as unknown);
    }
  }
  return stream;
}

/** A web stream checks that its methods get the very object, so another stream reads it. */
function readInside(stream: ReadableStream<unknown>, scope: KeptScope): ReadableStream<unknown> {
  if (stream.locked) {
    scope.release();
    return stream;
  }
  const reader = stream.getReader();
  const source = {
    pull: (controller: ReadableStreamDefaultController<unknown>) =>
      scope.enter(async () => {
        const { done, value } = await reader.read().catch((error: unknown) => {
          scope.release();
          throw error;
        });
        if (done) {
          scope.release();
          controller.close();
        } else {
          controller.enqueue(value);
        }
      }),
    cancel: (reason: unknown) => scope.enter(() => reader.cancel(reason).finally(() => scope.release())),
  };
  return new ReadableStream(source, { highWaterMark: 0 });
}

/** Generators and other iterators, and whatever an async iteration can begin with. Plain collections are not lazy. */
function isIterator(value: unknown): value is object {
  return (
    typeof value === 'object' &&
    value !== null &&
    (Symbol.asyncIterator in value ||
      (Symbol.iterator in value && typeof (value as { next?: unknown }).next === 'function'))
  );
}

/** Each pull runs inside, so that the body of a generator does. The iterator is done when a pull says so, or fails. */
function pullInside<T extends object>(iterator: T, scope: KeptScope, use = uses(scope)): T {
  let end: (() => void) | undefined;
  const after = (key: string | symbol, result: unknown): unknown => {
    if (key === 'return' || key === 'throw' || (Object(result) as { done?: unknown }).done === true) {
      end?.();
      end = undefined;
    }
    return result;
  };
  const fail = (error: unknown): never => {
    after('throw', undefined);
    throw error;
  };
  const inside: T = new Proxy(iterator, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') {
        return member;
      }
      return (...args: unknown[]): unknown => {
        if (key === Symbol.asyncIterator || key === Symbol.iterator) {
          const begun: unknown = scope.enter(() => Reflect.apply(member, target, args) as unknown);
          return begun === target ? inside : pullInside(begun as object, scope, use);
        }
        end ??= use.begin();
        try {
          const result: unknown = scope.enter(() => Reflect.apply(member, target, args) as unknown);
          return result instanceof Promise
            ? result.then((settled: unknown) => after(key, settled), fail)
            : after(key, result);
        } catch (error) {
          return fail(error);
        }
      };
    },
  });
  return inside;
}

/** A thenable may start its work when it is awaited, and its other methods may return further ones: query builders do. */
function awaitInside<T extends object>(thenable: T, scope: KeptScope): T {
  const use = uses(scope);
  return new Proxy(thenable, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') {
        return member;
      }
      return (...args: unknown[]): unknown => {
        const end = use.begin();
        if (key !== 'then') {
          const result: unknown = scope.enter(() => Reflect.apply(member, target, args) as unknown);
          return keepScope(result, {
            enter: (callback) => scope.enter(callback),
            hold: () => scope.hold(),
            release: end,
          });
        }
        const [onFulfilled, onRejected] = args as Parameters<Promise<unknown>['then']>;
        const work = new Promise((resolve, reject) => {
          scope.enter(() => Reflect.apply(member, target, [resolve, reject]) as unknown);
        });
        return work.finally(end).then(onFulfilled, onRejected);
      };
    },
  });
}
