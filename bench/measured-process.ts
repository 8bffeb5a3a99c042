import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Answer, Command } from './bench.types';

/**
 * A process of its own for each subject: AsyncLocalStorage, once used, makes every promise of a process dearer, and what
 * one subject left in the heap would be collected at the expense of another.
 */
export class MeasuredProcess {
  private constructor(
    private readonly child: ChildProcess,
    /** What the process said when it was ready, such as an address. */
    readonly ready: string,
  ) {}

  /** Starts `script` of this folder and waits until it is ready. */
  static async start(script: string, ...args: readonly string[]): Promise<MeasuredProcess> {
    const child = fork(join(__dirname, script), args, { execArgv: ['--expose-gc'] });
    const ended = once(child, 'exit').then(() => {
      throw new Error(`${script} ${args.join(' ')} ended before it was ready.`);
    });
    const [ready] = (await Promise.race([once(child, 'message'), ended])) as [string];
    ended.catch(() => undefined);
    return new MeasuredProcess(child, ready);
  }

  /** @throws Error with what went wrong there. */
  async ask(command: Command): Promise<Answer> {
    const answered = once(this.child, 'message') as Promise<[Answer]>;
    this.child.send(command);
    const [answer] = await answered;
    if (answer.problem !== undefined) {
      throw new Error(answer.problem);
    }
    return answer;
  }

  async close(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill();
    await ended;
  }
}

/** The other side: says that this process is ready, and answers one command at a time. */
export function serve(ready: string, answer: (command: Command) => Promise<Answer>): void {
  process.on('message', (command: Command) => {
    void answer(command)
      .catch((error: unknown) => ({
        cpu: 0,
        user: 0,
        wall: 0,
        problem: error instanceof Error ? error.stack : String(error),
      }))
      .then((result) => process.send?.(result));
  });
  process.once('disconnect', () => process.exit());
  process.send?.(ready);
}

/** What `work` used in this process. */
export async function usageOf(work: () => Promise<unknown>): Promise<Answer> {
  const [cpu, wall] = [process.cpuUsage(), process.hrtime.bigint()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { cpu: user + system, user, wall: Number(process.hrtime.bigint() - wall) / 1000 };
}

/** Does `work` `count` times, `concurrency` at a time. */
export async function repeat(count: number, concurrency: number, work: () => Promise<unknown>): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      await work();
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, worker));
}
