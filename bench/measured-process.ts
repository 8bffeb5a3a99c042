import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Command, Reply } from './bench.types';

/**
 * Runs a subject in its own process. Subjects would otherwise disturb each other: once a process uses AsyncLocalStorage,
 * each of its promises costs more, and one subject would pay for collecting the garbage of another.
 */
export class MeasuredProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly exited: Promise<never>,
    /** What the process sent when it was ready, such as its base URL. */
    readonly ready: string,
  ) {}

  /**
   * Starts `script` of this folder and waits until it is ready.
   * @throws Error if the process exits first.
   */
  static async start(script: string, ...args: readonly string[]): Promise<MeasuredProcess> {
    const child = fork(join(__dirname, script), args, { execArgv: ['--expose-gc'] });
    const exited = once(child, 'exit').then(() => {
      throw new Error(`The process "${[script, ...args].join(' ')}" exited too early. Its own output says why.`);
    });
    exited.catch(() => undefined); // `close()` ends the process as well
    const [ready] = (await Promise.race([once(child, 'message'), exited])) as [string];
    return new MeasuredProcess(child, exited, ready);
  }

  /** @throws Error if the command failed, or if the process exited. */
  async ask(command: Command): Promise<Reply> {
    const replied = once(this.child, 'message') as Promise<[Reply]>;
    this.child.send(command);
    const [reply] = await Promise.race([replied, this.exited]);
    if (reply.problem !== undefined) {
      throw new Error(reply.problem);
    }
    return reply;
  }

  async close(): Promise<void> {
    this.child.kill();
    await this.exited.catch(() => undefined);
  }
}

/** The measured side: tells the parent that this process is ready, then runs one command at a time. */
export function serve(ready: string, run: (command: Command) => Promise<Reply>): void {
  process.on('message', (command: Command) => {
    void run(command)
      .catch((error: unknown) => ({
        cpu: 0,
        user: 0,
        wall: 0,
        problem: error instanceof Error ? error.stack : String(error),
      }))
      .then((reply) => process.send?.(reply));
  });
  process.once('disconnect', () => process.exit());
  process.send?.(ready);
}

/** Measures the time that `work` uses in this process. */
export async function usageOf(work: () => Promise<unknown>): Promise<Reply> {
  const [cpu, wall] = [process.cpuUsage(), process.hrtime.bigint()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { cpu: user + system, user, wall: Number(process.hrtime.bigint() - wall) / 1000 };
}

/** Runs `work` `count` times, `concurrency` at a time. */
export async function repeat(count: number, concurrency: number, work: () => Promise<unknown>): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      await work();
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, worker));
}
