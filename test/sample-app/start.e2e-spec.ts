import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PROGRAM = join(__dirname, '../../sample-app/run.cjs');

describe('npm start', () => {
  let child: ChildProcess | undefined;

  afterEach(async () => {
    if (child?.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  function run(...args: string[]) {
    const { NODE_ENV: _test, ...environment } = process.env;
    const started = spawn(process.execPath, [PROGRAM, ...args], {
      env: { ...environment, PORT: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    return started;
  }

  it('says at once what it does, then compiles, serves, and ends on SIGTERM', async () => {
    const started = run('main.ts');
    const lines: string[] = [];
    let url: string | undefined;
    for await (const line of createInterface(started.stdout)) {
      lines.push(line);
      url = /The clinic is open at (http:\S+\d)/.exec(line)?.[1];
      if (url !== undefined) {
        break;
      }
    }
    expect(lines[0]).toMatch(/^Compiling the library and the clinic/);
    expect(lines[1]).toMatch(/^Compiled \d{3} files in [\d.]+ s/);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    started.kill('SIGTERM');
    await once(started, 'exit');
    expect(started.signalCode ?? started.exitCode).toBe('SIGTERM');
  }, 60_000);

  it('names the programs that there are', async () => {
    const started = run('nonsense.ts');
    let text = '';
    started.stderr.on('data', (chunk) => (text += String(chunk)));
    const [code] = (await once(started, 'close')) as [number];
    expect(code).toBe(2);
    expect(text).toBe('There is no program "nonsense.ts" to run. Use one of: main.ts, tour.ts.\n');
  });
});
