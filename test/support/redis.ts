import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** How clients of ioredis connect. */
export type RedisAddress =
  | { readonly path: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly username?: string;
      readonly password?: string;
      readonly db?: number;
    };

/** A Redis server for the tests of one file. */
export interface TestRedis {
  readonly address: RedisAddress;
  close(): Promise<void>;
}

const HOW =
  'Install it (Debian and Ubuntu: apt-get install redis-server; macOS: brew install redis), so that the tests can start a server of their own, or set REDIS_URL to a server that is running, such as redis://127.0.0.1:6379.';

const isInstalled = spawnSync('redis-server', ['--version']).status === 0;

/**
 * Describes tests that need Redis. Without it, they fail in CI, where nobody would miss them, and are skipped elsewhere.
 */
export function describeWithRedis(name: string, tests: () => void): void {
  if (isInstalled || process.env['REDIS_URL'] || process.env['CI']) {
    describe(name, tests);
    return;
  }
  process.stderr.write(`Skipped, because there is no redis-server: ${name}. ${HOW}\n`);
  describe.skip(name, tests);
}

/**
 * Starts a Redis server that listens on a socket in a folder of its own and stores nothing. With `REDIS_URL`, it names
 * that server instead.
 *
 * @throws when Redis is not installed.
 */
export async function startRedis(): Promise<TestRedis> {
  const { REDIS_URL } = process.env;
  if (REDIS_URL) {
    return { address: addressOf(new URL(REDIS_URL)), close: async () => undefined };
  }
  if (!isInstalled) {
    throw new Error(`There is no redis-server, and this test needs it. ${HOW}`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'redis-'));
  const path = join(folder, 'redis.sock');
  const args = ['--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no', '--dir', folder];
  const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = (): void => void server.kill('SIGKILL');
  process.once('exit', kill);
  const close = async (): Promise<void> => {
    process.removeListener('exit', kill);
    if (server.exitCode === null && server.signalCode === null) {
      const ended = once(server, 'exit');
      kill();
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await ready(server);
  } catch (error) {
    await close();
    throw error;
  }
  return { address: { path }, close };
}

async function ready(server: ChildProcess): Promise<void> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: server.stdout ?? ([] as never) })) {
    lines.push(line);
    if (/ready to accept connections/i.test(line)) {
      server.stdout?.resume();
      return;
    }
  }
  throw new Error(`redis-server ended before it was ready:\n${lines.join('\n')}`);
}

function addressOf({ hostname, port, username, password, pathname }: URL): RedisAddress {
  const db = Number(pathname.slice(1));
  return {
    host: hostname,
    port: Number(port) || 6379,
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    ...(db > 0 && { db }),
  };
}
