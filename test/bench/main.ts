import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { Pool } from 'undici';
import { type Comparison, type Size, type Subject } from './bench.types';
import { CLIENTS } from './client-subjects';
import { compare, type Effort } from './compare';
import { MeasuredProcess, repeat } from './measured-process';
import { grid, machine, table, writeJson } from './report';

const USAGE = `npm run bench -- [options]
  --only client|nest|memory|scaling|emulator   one part; may be given several times
  --subject, --size, --concurrency             of the client's part, some only; may be given several times
  --quick                                      few and short rounds: to see that it runs
  --out FILE                                   where the JSON goes (reports/bench.json)`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    subject: { type: 'string', multiple: true },
    size: { type: 'string', multiple: true },
    concurrency: { type: 'string', multiple: true },
    quick: { type: 'boolean', default: false },
    out: { type: 'string', default: 'reports/bench.json' },
    help: { type: 'boolean', default: false },
  },
});

const effort: Effort = values.quick ? { rounds: 3, round: 80, warmUp: 100 } : { rounds: 9, round: 250, warmUp: 2_000 };

const SIZES: readonly Size[] = ['1 KB', '100 KB', '1 MB'];
const CONCURRENCIES = [1, 32, 256];
/** Those that are measured at every size and concurrency; the others with 1 KB, 32 at a time. */
const EVERYWHERE = ['undici request', 'ours, actingAs()', 'ours, ambient scope', 'MedplumClient', 'fetch', 'axios'];

/** The first is the bare handler, the second what the others are compared with. */
const NEST_APPS = [
  'bare handler',
  'guard + passing interceptor',
  'the same, nestjs-cls loaded',
  '@OnBehalfOf()',
  'ClsMiddleware',
];

const comparisons: Comparison[] = [];
const emulatorLines: string[] = [];
const opened: MeasuredProcess[] = [];

async function start(script: string, ...args: string[]): Promise<MeasuredProcess> {
  const started = await MeasuredProcess.start(script, ...args);
  opened.push(started);
  return started;
}

async function closeAll(): Promise<void> {
  await Promise.all(opened.splice(0).map((one) => one.close()));
}

async function note(title: string, subjects: readonly Subject[], concurrency: number): Promise<Comparison> {
  const comparison = await compare(title, subjects, concurrency, effort);
  comparisons.push(comparison);
  console.log(table(comparison));
  return comparison;
}

async function clientSubject(name: string, baseUrl: string): Promise<(size: Size) => Subject> {
  const measured = await start('client.process.js', name, baseUrl);
  return (size) => ({ name, run: (count, concurrency) => measured.ask({ do: 'run', size, count, concurrency }) });
}

async function clients(baseUrl: string): Promise<void> {
  const subjects = new Map<string, (size: Size) => Subject>();
  for (const name of values.subject ?? Object.keys(CLIENTS)) {
    subjects.set(name, await clientSubject(name, baseUrl));
  }
  for (const size of SIZES.filter((one) => values.size?.includes(one) ?? true)) {
    for (const concurrency of CONCURRENCIES.filter((one) => values.concurrency?.includes(String(one)) ?? true)) {
      const all = values.subject !== undefined || (size === '1 KB' && concurrency === 32);
      const chosen = [...subjects].filter(([name]) => all || EVERYWHERE.includes(name)).map(([, of]) => of(size));
      await note(`${size}, ${concurrency} at a time`, chosen, concurrency);
    }
  }
}

/** A server that is measured while this process asks it. */
function served(name: string, measured: MeasuredProcess, ask: () => Promise<unknown>): Subject {
  return {
    name,
    run: async (count, concurrency) => {
      const before = await measured.ask({ do: 'usage' });
      await repeat(count, concurrency, ask);
      const after = await measured.ask({ do: 'usage' });
      return { cpu: after.cpu - before.cpu, wall: after.wall - before.wall };
    },
  };
}

async function get(pool: Pool, path: string, headers: Record<string, string> = {}): Promise<void> {
  const { statusCode, body } = await pool.request({ method: 'GET', path, headers });
  await body.dump();
  if (statusCode !== 200) {
    throw new Error(`${path} was answered with ${statusCode}.`);
  }
}

async function nest(): Promise<void> {
  for (const platform of ['Fastify', 'Express']) {
    const subjects: Subject[] = [];
    const pools: Pool[] = [];
    for (const name of NEST_APPS) {
      const measured = await start('nest.process.js', name, platform);
      const pool = new Pool(measured.ready, { connections: 32 });
      pools.push(pool);
      subjects.push(served(name, measured, () => get(pool, '/patient')));
    }
    const { figures } = await note(`${platform}, one request`, subjects, 32);
    const [bare, passing, ...others] = figures;
    if (bare && passing) {
      const rows = [passing, ...others].map(({ name, cpu }) => [
        name,
        (cpu - bare.cpu).toFixed(1),
        ((cpu - bare.cpu) / (passing.cpu - bare.cpu)).toFixed(2),
      ]);
      console.log([`${platform}, above the bare handler:`, '', ...grid(['', 'CPU, µs', 'ratio'], rows), ''].join('\n'));
    }
    await Promise.all(pools.map((pool) => pool.close()));
    await closeAll();
  }
}

async function memory(baseUrl: string): Promise<number> {
  const measured = await start('client.process.js', 'undici request', baseUrl);
  const calls = values.quick ? 20_000 : 200_000;
  const { heap = Number.NaN } = await measured.ask({ do: 'memory', calls, identities: 10_000 });
  console.log(`### Memory\n\nThe heap grew by ${(heap / 2 ** 20).toFixed(2)} MB in ${calls} calls for 10,000 users.\n`);
  return heap;
}

async function scaling(baseUrl: string): Promise<void> {
  const subjects: Subject[] = [];
  for (const identities of [10, 1_000, values.quick ? 10_000 : 100_000]) {
    subjects.push((await clientSubject(`${identities} identities`, baseUrl))('1 KB'));
  }
  await note('A call, after so many users have called', subjects, 32);
}

/** The embedded Medplum has measurements of its own. */
async function emulator(): Promise<void> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(__dirname, '../test/bench/emulator.bench.cjs')]);
  emulatorLines.push(...stdout.trim().split('\n'));
  console.log(['### The embedded Medplum', '', ...emulatorLines.map((line) => `- ${line}`), ''].join('\n'));
}

async function main(): Promise<void> {
  const parts = { client: clients, nest, memory, scaling, emulator };
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const started = new Date().toISOString();
  console.log(`${machine()}\n`);
  const server = await MeasuredProcess.start('server.process.js');
  let heapGrowth: number | undefined;
  try {
    for (const [name, part] of Object.entries(parts)) {
      if (!values.only || values.only.includes(name)) {
        const result = await part(server.ready);
        heapGrowth = typeof result === 'number' ? result : heapGrowth;
        await closeAll();
      }
    }
    writeJson(values.out, { started, machine: machine(), effort, comparisons, heapGrowth, emulator: emulatorLines });
    console.log(`Written to ${values.out}.`);
  } finally {
    await closeAll();
    await server.close();
  }
}

void main();
