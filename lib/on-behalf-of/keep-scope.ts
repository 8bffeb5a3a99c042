import { Readable } from 'node:stream';
import { ReadableStream, type ReadableStreamDefaultController } from 'node:stream/web';
import { isObservable, Observable } from 'rxjs';

/** Calls a function inside a scope. */
export type Enter = <R>(callback: () => R) => R;

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** Runs each pull inside the scope, and with it the body of an async generator. Other members stay as they are. */
function pullInside<T extends object>(iterator: T, enter: Enter): T {
  return new Proxy(iterator, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key, target);
      if (typeof member !== 'function') {
        return member;
      }
      return (...args: unknown[]): unknown => {
        const result: unknown = enter(() => Reflect.apply(member, target, args));
        return key === Symbol.asyncIterator ? pullInside(result as object, enter) : result;
      };
    },
  });
}

/** Keeps the stream itself, and runs only its source, `_read`, inside the scope. */
function readInside(stream: Readable, enter: Enter): void {
  const read = stream._read.bind(stream);
  stream._read = (size) => enter(() => read(size));
}

/** The methods of a web stream reject a proxy as `this`, so a second stream reads the first one inside the scope. */
function pipeInside(stream: ReadableStream<unknown>, enter: Enter): ReadableStream<unknown> {
  if (stream.locked) {
    return stream;
  }
  const reader = stream.getReader();
  const source = {
    pull: (controller: ReadableStreamDefaultController<unknown>) =>
      enter(async () => {
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
        } else {
          controller.enqueue(value);
        }
      }),
    cancel: (reason: unknown) => enter(() => reader.cancel(reason)),
  };
  return new ReadableStream(source, { highWaterMark: 0 });
}

/**
 * Ties a lazy `value` to a scope. An Observable, AsyncIterable or stream that was created inside the scope runs under its
 * identity, never under that of whoever subscribes to it, pulls it or reads it. The same goes for the value of a promise.
 */
export function keepScope<T>(value: T, enter: Enter): T {
  if (value instanceof Promise) {
    return value.then((settled: unknown) => keepScope(settled, enter)) as T;
  }
  if (isObservable(value)) {
    return new Observable((subscriber) => enter(() => value.subscribe(subscriber))) as T;
  }
  if (value instanceof Readable) {
    readInside(value, enter);
    return value;
  }
  if (value instanceof ReadableStream) {
    return pipeInside(value as ReadableStream<unknown>, enter) as T;
  }
  if (isAsyncIterable(value)) {
    return pullInside(value, enter);
  }
  return value;
}
