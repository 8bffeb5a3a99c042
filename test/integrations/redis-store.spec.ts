import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { MedplumConfigError, MedplumConnectionError } from 'nestjs-medplum';
import { RedisStore, type RedisStoreClient } from 'nestjs-medplum/redis';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { describeWithRedis } from '../support/redis';
import { RedisServer } from '../support/redis-server';

const SUPPORT = join(__dirname, '../support');

let server: RedisServer | undefined;
let redis: Redis;
let log: CapturedLog;

describeWithRedis('RedisStore', () => {
  beforeEach(async () => {
    log = captureLog();
    server = await RedisServer.start();
    redis = new Redis(server.port, '127.0.0.1', { retryStrategy: () => 20 });
    redis.on('error', () => undefined);
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    redis.disconnect();
    await server?.close();
  });

  it('keeps values for their time, under its prefix', async () => {
    const store = new RedisStore(redis, { prefix: 'clinic:' });
    expect(await store.get('a')).toBeUndefined();
    expect(await store.add('a', '1', 60_000)).toBe(true);
    expect(await store.add('a', '2', 60_000)).toBe(false);
    expect(await store.get('a')).toBe('1');
    await store.set('a', '3', 30_000.5);
    expect(await store.get('a')).toBe('3');
    expect(await redis.keys('*')).toEqual(['clinic:a']);
    expect(await redis.pttl('clinic:a')).toBeLessThanOrEqual(30_001);
    await store.delete('a');
    expect(await store.add('a', '4', 60_000)).toBe(true);
  });

  it('forgets a key when its time is over', async () => {
    const store = new RedisStore(redis);
    await store.add('a', '1', 1);
    while ((await redis.exists('nestjs-medplum:a')) === 1) {
      await new Promise(setImmediate);
    }
    expect(await store.add('a', '2', 1_000)).toBe(true);
  });

  it('lets one of three processes have each key', async () => {
    const args = [join(SUPPORT, 'run-typescript.cjs'), join(SUPPORT, 'redis-program.ts'), `${server?.port}`, '500'];
    const children = Array.from({ length: 3 }, () =>
      spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    const lines = children.map((child) => createInterface({ input: child.stdout })[Symbol.asyncIterator]());
    await Promise.all(lines.map((line) => line.next()));
    children.forEach((child) => child.stdin.write('go\n'));
    const won = await Promise.all(lines.map(async (line) => Number((await line.next()).value)));
    await Promise.all(children.map(async (child: ChildProcess) => child.exitCode ?? once(child, 'exit')));
    expect(won.reduce((sum, one) => sum + one, 0)).toBe(500);
  }, 60_000);

  it('refuses everything while Redis is away, says so once, and shows neither keys nor values', async () => {
    const store = new RedisStore(redis, { timeout: 200 });
    await store.add('taint-key', 'taint-value', 60_000);
    const port = server?.port;
    await server?.close();
    server = undefined;
    for (const attempt of [() => store.add('taint-key', 'taint-value', 1_000), () => store.get('taint-key')]) {
      const error: unknown = await attempt().catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(MedplumConnectionError);
      expect(error).toMatchObject({ retryable: true });
      expect(inspect(error, { depth: 5 })).not.toContain('taint');
    }
    expect(log.text('error').match(/does not respond/g)).toHaveLength(1);
    server = await RedisServer.start(port);
    for (;;) {
      try {
        expect(await store.get('another')).toBeUndefined();
        break;
      } catch (error) {
        if (!(error instanceof MedplumConnectionError)) {
          throw error;
        }
      }
    }
    expect(log.text('log').match(/responds again/g)).toHaveLength(1);
    expect(inspect(log.given)).not.toContain('taint');
  });

  it.each<readonly [unknown, object]>([
    [undefined, {}],
    [{ set: () => undefined }, {}],
    [{ set: () => undefined, get: () => undefined, del: () => undefined }, { timeout: 0 }],
  ])('is not made of %j', (client, options) => {
    expect(() => new RedisStore(client as RedisStoreClient, options)).toThrow(MedplumConfigError);
  });
});
