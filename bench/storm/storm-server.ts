import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ServerCounts } from './storm.types';

/** The failing server, in a process of its own: neither its heap nor its sockets are those of the storm. */
export class StormServer {
  readonly #process: ChildProcess;
  readonly baseUrl: string;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.baseUrl = `http://127.0.0.1:${port}/`;
  }

  static async start(seed: number): Promise<StormServer> {
    const child = fork(join(__dirname, 'server.process.js'), [String(seed)], { execArgv: [] });
    const [port] = (await once(child, 'message')) as [number];
    return new StormServer(child, port);
  }

  async counts(): Promise<ServerCounts> {
    const answer = once(this.#process, 'message');
    this.#process.send('counts');
    const [counts] = (await answer) as [ServerCounts];
    return counts;
  }

  async close(): Promise<void> {
    const exit = once(this.#process, 'exit');
    this.#process.disconnect();
    await exit;
  }
}
