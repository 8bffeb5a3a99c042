import { Redis } from 'ioredis';
import { RedisStore } from 'nestjs-medplum/redis';

const [, , , port = '', count = ''] = process.argv;

/** Claims keys that two other processes claim as well, and prints how many of them it got. */
async function main(): Promise<void> {
  const redis = new Redis(Number(port), '127.0.0.1');
  const store = new RedisStore(redis);
  await redis.ping();
  process.stdout.write('ready\n');
  await new Promise((resolve) => process.stdin.once('data', resolve));
  const keys = Array.from({ length: Number(count) }, (_, index) => `key-${index}`);
  const won = await Promise.all(keys.map((key) => store.add(key, `${process.pid}`, 60_000)));
  process.stdout.write(`${won.filter(Boolean).length}\n`);
  redis.disconnect();
  process.stdin.destroy();
}

void main();
