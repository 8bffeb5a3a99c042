import { EventEmitter, once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Duplex, PassThrough, Readable, Transform, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { callbackify } from 'node:util';
import { concatMap, defer, from, lastValueFrom, retry, Subject, throwError } from 'rxjs';
import { type MedplumModuleOptions, OnBehalfOfRequiredError } from 'nestjs-medplum';
import { captureLog } from '../support/captured-log';
import { gate } from '../support/gate';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

let app: MedplumApp;

afterEach(() => app.close());

async function start(options: Partial<MedplumModuleOptions> = {}): Promise<MedplumApp['medplum']> {
  app = await startMedplumApp(options, { handler: () => ({ body: { resourceType: 'Patient', id: '1' } }) });
  return app.medplum;
}

const read = () => app.medplum.readResource('Patient', '1');
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('A call under a scope that has ended', () => {
  it('is refused, says how to mend it, and nothing is sent', async () => {
    const medplum = await start();
    const later = gate();
    let late: Promise<unknown> | undefined;
    await medplum.onBehalfOf('a', async () => {
      late = later.opened.then(read);
      await read();
    });
    later.open();
    await expect(late).rejects.toThrow(OnBehalfOfRequiredError);
    await expect(late).rejects.toThrow(/has ended.*Await the work.*bind\(\).*onBehalfOf.*@RunOnBehalfOf\(\)/s);
    expect(app.wire.identities).toEqual(['ProjectMembership/a']);
    expect(app.events).toMatchObject([
      { outcome: 'success' },
      { outcome: 'refused', afterScope: true, attempts: [], error: { code: 'MEDPLUM_ON_BEHALF_OF_REQUIRED' } },
    ]);
    expect(app.events[0]).not.toHaveProperty('afterScope', true);
  });

  it('is refused in a timer, a subscription, and an emitter, which all keep the scope', async () => {
    const medplum = await start();
    const subject = new Subject<void>();
    const results: Promise<unknown>[] = [];
    const work = (): Promise<unknown> => {
      const result = read();
      result.catch(() => undefined);
      results.push(result);
      return result;
    };
    await medplum.onBehalfOf('a', () => {
      setTimeout(() => void work(), 1);
      void subject.pipe(concatMap(() => defer(work))).subscribe({ error: () => undefined });
      return Promise.resolve();
    });
    subject.next();
    while (results.length < 2) {
      await settle();
    }
    for (const result of await Promise.allSettled(results)) {
      expect(result).toMatchObject({ status: 'rejected', reason: expect.any(OnBehalfOfRequiredError) as unknown });
    }
    expect(app.wire.requests).toEqual([]);
  });

  it('on a shared connection that a job opened as the client: message handlers never run as admin', async () => {
    const medplum = await start({ lateCalls: 'allow' });
    const server: Server = createServer((socket) => socket.on('data', (data) => socket.write(data)));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const outcomes = new EventEmitter();
    let socket: Socket | undefined;
    const open = (): Socket => {
      socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      socket.on('data', () => outcomes.emit('outcome', read()));
      return socket;
    };
    // The job returns the connection, and does not.
    const returned = medplum.asClientApplication(open);
    returned.write('message');
    const [outcome] = (await once(outcomes, 'outcome')) as [Promise<unknown>];
    await expect(outcome).rejects.toThrow(/has ended/);
    expect(app.wire.requests).toEqual([]);
    socket?.destroy();
    server.close();
  });

  it('that began before the end goes on, with all of its requests', async () => {
    const medplum = await start();
    let answers = 0;
    app.wire.handler = () =>
      answers++ === 0 ? { status: 503, delay: 20 } : { body: { resourceType: 'Patient', id: '1' } };
    let running: Promise<unknown> | undefined;
    medplum.onBehalfOf('a', () => {
      running = read();
    });
    await expect(running).resolves.toMatchObject({ id: '1' });
    expect(app.wire.identities).toEqual(['ProjectMembership/a', 'ProjectMembership/a']);
  });

  it('goes on with an identity of its own, inside a scope of its own, and in a bound function', async () => {
    const medplum = await start();
    const later = gate();
    let late: Promise<unknown> | undefined;
    let bound: (() => Promise<unknown>) | undefined;
    await medplum.onBehalfOf('a', async () => {
      late = later.opened.then(async () => {
        await medplum.readResource('Patient', '1', { onBehalfOf: 'b' });
        await medplum.onBehalfOf('c', () => read());
        return medplum.asClientApplication(() => undefined);
      });
      bound = medplum.bind(read);
      await Promise.resolve();
    });
    later.open();
    await late;
    await bound?.();
    await bound?.();
    expect(app.wire.identities).toEqual([
      'ProjectMembership/b',
      'ProjectMembership/c',
      'ProjectMembership/a',
      'ProjectMembership/a',
    ]);
    expect(app.events.some(({ afterScope }) => afterScope)).toBe(false);
  });

  it('is what a bound function leaves behind, too: each use has an end', async () => {
    const medplum = await start();
    const later = gate();
    const late: Promise<unknown>[] = [];
    const bound = medplum.onBehalfOf('a', () => medplum.bind(() => void late.push(later.opened.then(read))));
    bound();
    const again = medplum.onBehalfOf('a', () => medplum.bind(() => later.opened));
    const open = again();
    later.open();
    await open;
    await expect(late[0]).rejects.toThrow(/has ended/);
  });

  it('has no identity to show or to bind', async () => {
    const medplum = await start();
    let seen: unknown[] = [];
    await new Promise<void>((resolve) => {
      medplum.onBehalfOf('a', () => {
        setImmediate(() => {
          seen = [medplum.currentOnBehalfOf, attempt(() => medplum.bind(read))];
          resolve();
        });
      });
    });
    expect(seen).toEqual([undefined, expect.any(OnBehalfOfRequiredError)]);
  });

  it("goes on with a warning once a minute, with lateCalls: 'warn'; silently with 'allow'", async () => {
    for (const [lateCalls, warnings] of [
      ['warn', 1],
      ['allow', 0],
    ] as const) {
      const medplum = await start({ lateCalls });
      const log = captureLog();
      await new Promise<void>((resolve) => {
        medplum.onBehalfOf('a', () => {
          setImmediate(() => resolve(Promise.all([read(), read()]).then(() => undefined)));
        });
      });
      expect(app.wire.identities).toEqual(['ProjectMembership/a', 'ProjectMembership/a']);
      expect(app.events).toMatchObject([{ afterScope: true }, { afterScope: true }]);
      expect(log.text('warn').match(/scope that has ended/g) ?? []).toHaveLength(warnings);
      log.restore();
      if (lateCalls === 'warn') await app.close();
    }
  });

  it('with the rights of the client is refused, whatever lateCalls says', async () => {
    const medplum = await start({ lateCalls: 'allow', requireOnBehalfOf: false });
    const late = await new Promise<unknown>((resolve) => {
      medplum.asClientApplication(() => {
        setImmediate(() => resolve(read().catch((error: unknown) => error)));
      });
    });
    expect(late).toBeInstanceOf(OnBehalfOfRequiredError);
    expect(app.wire.requests).toEqual([]);
  });
});

function attempt(fn: () => unknown): unknown {
  try {
    return fn();
  } catch (error) {
    return error;
  }
}

/** What a value is used for: it must read twice, the second time after a pause. */
const readTwice = async () => {
  await read();
  await settle();
  await read();
  return app.medplum.currentOnBehalfOf;
};

describe('A scope lasts as long as the lazy value that its function returned', () => {
  const USES: Readonly<Record<string, () => Promise<unknown>>> = {
    'an Observable': () => lastValueFrom(app.medplum.onBehalfOf('a', () => defer(readTwice))),
    'an Observable of work that runs already': () =>
      lastValueFrom(app.medplum.onBehalfOf('a', () => from(readTwice()).pipe(concatMap(readTwice)))),
    'an Observable in a promise': async () =>
      lastValueFrom(await app.medplum.onBehalfOf('a', () => Promise.resolve(defer(readTwice)))),
    'an Observable, subscribed to again': async () => {
      let failures = 1;
      const value$ = app.medplum.onBehalfOf('a', () =>
        defer(() => (failures-- > 0 ? throwError(() => new RangeError()) : from(readTwice()))),
      );
      return lastValueFrom(value$.pipe(retry(1)));
    },
    'an async generator': async () => {
      const values: unknown[] = [];
      for await (const value of app.medplum.onBehalfOf('a', async function* () {
        await read();
        yield 1;
        await read();
        yield app.medplum.currentOnBehalfOf;
      })) {
        values.push(value);
      }
      return values.at(-1);
    },
    'a generator': async () => {
      const reads: unknown[] = [];
      for (const one of app.medplum.onBehalfOf('a', function* () {
        yield read();
        yield read();
        yield app.medplum.currentOnBehalfOf;
      })) {
        reads.push(await one);
      }
      return reads.at(-1);
    },
    'a thenable, such as a query builder': async () => {
      const builder = {
        limit() {
          return this;
        },
        // oxlint-disable-next-line unicorn/no-thenable -- a lazy thenable is what is tested
        then: (resolve: (value: unknown) => void, reject: (error: unknown) => void) =>
          readTwice().then(resolve, reject),
      };
      return app.medplum.onBehalfOf('a', () => builder).limit();
    },
    'a lazy Promise': () => {
      class LazyPromise extends Promise<unknown> {
        static override readonly [Symbol.species] = Promise;
        // oxlint-disable-next-line unicorn/no-thenable -- as p-lazy does
        override then: Promise<unknown>['then'] = (resolve, reject) => readTwice().then(resolve, reject);
      }
      return app.medplum.onBehalfOf('a', () => new LazyPromise(() => undefined));
    },
    'a Readable': async () => {
      const stream = app.medplum.onBehalfOf('a', () =>
        Readable.from(
          (async function* () {
            yield await readTwice();
          })(),
        ),
      );
      return (await stream.toArray())[0];
    },
    'a Transform': async () => {
      const stream = app.medplum.onBehalfOf(
        'a',
        () =>
          new Transform({
            objectMode: true,
            transform: (_chunk, _encoding, done) => {
              callbackify(readTwice)(done);
            },
          }),
      );
      stream.end('x');
      return (await stream.toArray())[0];
    },
    'a Writable': async () => {
      let seen: unknown;
      const stream = app.medplum.onBehalfOf(
        'a',
        () =>
          new Writable({
            write: (_chunk, _encoding, done) => {
              callbackify(readTwice)((error, who) => {
                seen = who;
                done(error);
              });
            },
          }),
      );
      await pipeline(Readable.from(['x']), stream);
      return seen;
    },
    'a web ReadableStream': async () => {
      const stream = app.medplum.onBehalfOf(
        'a',
        () =>
          new ReadableStream({
            pull: async (controller) => {
              controller.enqueue(await readTwice());
              controller.close();
            },
          }),
      );
      return (await stream.getReader().read()).value;
    },
  };

  it.each(Object.keys(USES))('%s, used inside the scope of somebody else', async (name) => {
    const medplum = await start();
    const use = USES[name] as () => Promise<unknown>;
    await expect(medplum.onBehalfOf('b', use)).resolves.toBe('ProjectMembership/a');
    expect(app.wire.identities.length).toBeGreaterThanOrEqual(2);
    expect(new Set(app.wire.identities)).toEqual(new Set(['ProjectMembership/a']));
  });

  it('and no longer', async () => {
    const medplum = await start();
    const later = gate();
    const late: Promise<unknown>[] = [];
    const leave = () => void late.push(later.opened.then(read));
    await lastValueFrom(medplum.onBehalfOf('a', () => defer(async () => leave())));
    for await (const _ of medplum.onBehalfOf('a', async function* () {
      leave();
      yield 1;
    })) {
      break;
    }
    expect([
      ...medplum.onBehalfOf('a', function* () {
        leave();
        yield 1;
      }),
    ]).toEqual([1]);
    const stream = medplum.onBehalfOf('a', () =>
      Readable.from(
        (async function* () {
          leave();
          yield 'x';
        })(),
      ),
    );
    stream.resume();
    await finished(stream);
    await settle();
    later.open();
    const outcomes = await Promise.allSettled(late);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
    expect(app.wire.requests).toEqual([]);
  });

  it('a stream that is written to, of the web, is refused: nothing can tie it to the scope', async () => {
    const medplum = await start();
    expect(() => medplum.onBehalfOf('a', () => new WritableStream())).toThrow(OnBehalfOfRequiredError);
    await expect(medplum.onBehalfOf('a', async () => new TransformStream())).rejects.toThrow(OnBehalfOfRequiredError);
  });

  it('a connection is no such value, however it is made', async () => {
    const medplum = await start();
    const duplex = medplum.onBehalfOf(
      'a',
      () => new Duplex({ read: () => undefined, write: (_c, _e, done) => done() }),
    );
    const late = new Promise((resolve) =>
      duplex.once('finish', () => resolve(read().catch((error: unknown) => error))),
    );
    duplex.end();
    await expect(late).resolves.toBeInstanceOf(OnBehalfOfRequiredError);
    expect(medplum.onBehalfOf('a', () => new PassThrough())).toBeInstanceOf(PassThrough);
  });

  it('values that are not lazy end it at once', async () => {
    const medplum = await start();
    for (const value of [1, 'text', [1], new Map([[1, 2]]), new Set([1]), { a: 1 }, Buffer.from('x'), undefined]) {
      expect(medplum.onBehalfOf('a', () => value)).toBe(value);
    }
  });
});
