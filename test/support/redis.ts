import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A Redis server of a test, on loopback. Close it. */
export interface TestRedis {
  readonly host: '127.0.0.1';
  readonly port: number;
  close(): Promise<void>;
}

/** Whether this machine has Redis. CI must have it: a missing `redis-server` fails the tests there. */
export function hasRedis(): boolean {
  const found = spawnSync('redis-server', ['--version']).status === 0;
  if (!found && process.env['CI']) {
    throw new Error('The tests of queues need redis-server on the PATH.');
  }
  if (!found) {
    process.stderr.write(
      'Skipped: the tests of queues. Install redis-server, so that it is on the PATH, to run them.\n',
    );
  }
  return found;
}

/** Starts a Redis that keeps nothing, on a port that is free. */
export async function startRedis(): Promise<TestRedis> {
  const directory = mkdtempSync(join(tmpdir(), 'redis-'));
  const port = await freePort();
  const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory];
  const server = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'inherit'] });
  await ready(server);
  return {
    host: '127.0.0.1',
    port,
    close: async () => {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGKILL');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function ready(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    server.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      if (text.includes('Ready to accept connections')) {
        resolve();
      }
    });
    server.once('exit', () => reject(new Error(`Redis did not start: ${text}`)));
    server.once('error', reject);
  });
}

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
