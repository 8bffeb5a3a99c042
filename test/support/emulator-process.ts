import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What a run of `nestjs-medplum emulator` printed until it ended. */
export interface EmulatorRun {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs of the bin `nestjs-medplum`, as a user starts it: in processes of their own. */
export class EmulatorProcesses {
  private readonly running = new Set<ChildProcess>();

  constructor(private readonly folder: () => string) {}

  /** Runs `nestjs-medplum emulator` to its end. */
  async run(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<EmulatorRun> {
    const started = this.start(args, environment);
    return started.ended;
  }

  /** Starts `nestjs-medplum emulator`. */
  start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): EmulatorProcess {
    const { NODE_ENV: _test, ...inherited } = process.env;
    const child = spawn(
      process.execPath,
      [join(__dirname, 'run-typescript.cjs'), join(__dirname, 'emulator-program.ts'), 'emulator', ...args],
      { cwd: this.folder(), env: { ...inherited, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.running.add(child);
    child.once('exit', () => this.running.delete(child));
    return new EmulatorProcess(child);
  }

  /** Ends those that still run. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.running].map(async (child) => {
        const exit = once(child, 'exit');
        child.kill('SIGKILL');
        await exit;
      }),
    );
  }
}

/** One run of the emulator. */
export class EmulatorProcess {
  out = '';
  err = '';
  readonly ended: Promise<EmulatorRun>;

  constructor(private readonly child: ChildProcess) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.out += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.err += text));
    this.ended = once(child, 'close').then(([code]) => ({ code: code as number | null, out: this.out, err: this.err }));
  }

  /** Resolves when `text` is printed on standard output or standard error. */
  async prints(text: string): Promise<void> {
    while (!`${this.out}${this.err}`.includes(text)) {
      const chunk = Promise.race([
        once(this.child.stdout as NonNullable<ChildProcess['stdout']>, 'data'),
        once(this.child.stderr as NonNullable<ChildProcess['stderr']>, 'data'),
        this.ended.then((run) => Promise.reject(new Error(`The emulator ended before it printed ${text}: ${run.err}`))),
      ]);
      await chunk;
    }
  }

  /** Resolves with the line of JSON that `--json` prints. */
  async json(): Promise<EmulatorJson> {
    await this.prints('}\n');
    return JSON.parse(this.out) as EmulatorJson;
  }

  /** Asks it to stop, as Ctrl-C does. */
  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<EmulatorRun> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** The line of `--json`. */
export interface EmulatorJson {
  readonly baseUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly clients: readonly { readonly name: string; readonly id: string; readonly secret: string }[];
  readonly members: readonly { readonly name: string; readonly membership: string; readonly profile: string }[];
}
