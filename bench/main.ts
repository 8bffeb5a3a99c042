import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { Pool } from 'undici';
import type { Comparison, Size, Subject, Usage } from './bench.types';
import { CLIENTS } from './client-subjects';
import { compare, type Effort } from './compare';
import { BARE, type HandlerCost, handlerCosts, handlerTable, PASSING, PASSING_WITH_CLS } from './handler-cost';
import { MeasuredProcess, repeat } from './measured-process';
import { machine, table, writeJson } from './report';

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

const effort: Effort = values.quick ? { rounds: 3, round: 80, warmUp: 100 } : { rounds: 9, round: 250, warmUp: 3_000 };
/**
 * What guards and interceptors add is a small difference of large figures, so each app runs in several processes that take
 * turns: what V8 made of one of them in its first second, it keeps.
 */
const NEST_COPIES = values.quick ? 1 : 3;
const nestEffort: Effort = { ...effort, rounds: effort.rounds * NEST_COPIES, warmUp: effort.warmUp * NEST_COPIES };
/** For subjects that have been measured before. */
const warmEffort: Effort = { ...effort, warmUp: effort.warmUp / 10 };

const SIZES: readonly Size[] = ['1 KB', '100 KB', '1 MB'];
/** The first comparison has all subjects, which get warm there. */
const CONCURRENCIES = [32, 1, 256];
/** Those that are measured at every size and concurrency; the others with 1 KB, 32 at a time. */
const EVERYWHERE = [
  'undici request',
  'ours, actingAs()',
  'ours, audited',
  'ours, compression',
  'MedplumClient',
  'fetch',
  'axios',
];

const NEST_APPS = [BARE, PASSING, PASSING_WITH_CLS, '@OnBehalfOf()', 'ClsMiddleware'];

const comparisons: Comparison[] = [];
const handlers: HandlerCost[] = [];
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

async function note(title: string, subjects: readonly Subject[], concurrency: number, how = effort) {
  const comparison = await compare(title, subjects, concurrency, how);
  comparisons.push(comparison);
  console.log(table(comparison));
  return comparison;
}

async function startCopies(script: string, ...args: string[]): Promise<MeasuredProcess[]> {
  const copies: MeasuredProcess[] = [];
  for (let i = 0; i < NEST_COPIES; i++) {
    copies.push(await start(script, ...args));
  }
  return copies;
}

/** Each round is run by the next copy. */
function inTurn<T>(copies: readonly T[], run: (copy: T, ...round: Parameters<Subject['run']>) => Promise<Usage>) {
  const turns = [...copies];
  return (count: number, concurrency: number): Promise<Usage> => {
    const copy = turns.shift();
    if (copy === undefined) {
      throw new Error('There is nothing to run.');
    }
    turns.push(copy);
    return run(copy, count, concurrency);
  };
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
  let how = effort;
  for (const size of SIZES.filter((one) => values.size?.includes(one) ?? true)) {
    for (const concurrency of CONCURRENCIES.filter((one) => values.concurrency?.includes(String(one)) ?? true)) {
      const all = values.subject !== undefined || (size === '1 KB' && concurrency === 32);
      const chosen = [...subjects].filter(([name]) => all || EVERYWHERE.includes(name)).map(([, of]) => of(size));
      await note(`${size}, ${concurrency} at a time`, chosen, concurrency, how);
      how = warmEffort;
    }
  }
}

/** What a server uses while this process asks it. */
async function served(measured: MeasuredProcess, ask: () => Promise<unknown>, count: number, concurrency: number) {
  const before = await measured.ask({ do: 'usage' });
  await repeat(count, concurrency, ask);
  const after = await measured.ask({ do: 'usage' });
  return { cpu: after.cpu - before.cpu, user: after.user - before.user, wall: after.wall - before.wall };
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
      const copies = (await startCopies('nest.process.js', name, platform)).map((measured) => {
        const pool = new Pool(measured.ready, { connections: 32 });
        pools.push(pool);
        return { measured, pool };
      });
      const run = inTurn(copies, ({ measured, pool }, count, concurrency) =>
        served(measured, () => get(pool, '/patient'), count, concurrency),
      );
      subjects.push({ name, run });
    }
    const comparison = await note(`${platform}, one request`, subjects, 32, nestEffort);
    const costs = handlerCosts(platform, comparison);
    handlers.push(...costs);
    console.log(handlerTable(platform, costs));
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
  const { stdout } = await promisify(execFile)(process.execPath, [join(__dirname, '../bench/emulator.bench.cjs')]);
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
    writeJson(values.out, {
      started,
      machine: machine(),
      effort,
      comparisons,
      handlers,
      heapGrowth,
      emulator: emulatorLines,
    });
    console.log(`Written to ${values.out}.`);
  } finally {
    await closeAll();
    await server.close();
  }
}

void main();
