import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { compareBuilds, compareClients, measureBatches, measureMemory, measureScaling } from './client.part';
import { MeasuredProcess } from './measured-process';
import { measureHandlers } from './nest.part';
import { type BenchOptions, type Part, readOptions, usage } from './options';
import { simulateQuota } from './quota.part';
import { machine, writeJson } from './report';
import { Session } from './session';

/** Runs the benchmark of the embedded Medplum, which is a script of its own. */
async function measureEmulator({ emulatorLines }: Session): Promise<void> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(__dirname, '../bench/emulator.bench.cjs')]);
  emulatorLines.push(...stdout.trim().split('\n'));
  console.log(['### The embedded Medplum', '', ...emulatorLines.map((line) => `- ${line}`), ''].join('\n'));
}

const PARTS: Readonly<Record<Part, (session: Session, baseUrl: string) => Promise<void>>> = {
  client: (session, baseUrl) => {
    const { against } = session.options;
    return against === undefined ? compareClients(session, baseUrl) : compareBuilds(session, baseUrl, against);
  },
  nest: measureHandlers,
  batches: measureBatches,
  memory: measureMemory,
  scaling: measureScaling,
  quota: simulateQuota,
  emulator: measureEmulator,
};

async function measure(options: BenchOptions): Promise<void> {
  const started = new Date().toISOString();
  console.log(`${machine()}\n`);
  const server = await MeasuredProcess.start('server.process.js');
  const session = new Session(options);
  try {
    for (const part of options.parts) {
      await PARTS[part](session, server.ready);
      await session.closeAll();
    }
    const { comparisons, buildRatios, handlers, heapGrowth, quotaRows, emulatorLines } = session;
    writeJson(options.out, {
      started,
      machine: machine(),
      effort: options.effort,
      comparisons,
      buildRatios,
      handlers,
      heapGrowth,
      quota: quotaRows,
      emulator: emulatorLines,
    });
    console.log(`The results are in ${options.out}.`);
  } finally {
    await session.closeAll();
    await server.close();
  }
}

async function main(): Promise<void> {
  let options: BenchOptions;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\nSee npm run bench -- --help.`);
    process.exitCode = 2;
    return;
  }
  await (options.help ? console.log(usage()) : measure(options));
}

void main();
