import { join } from 'node:path';
import type { BuildRatio, Size, Subject } from './bench.types';
import { CLIENTS, LIBRARY_CALLS, LONE_READ, TWENTY_READS } from './client-subjects';
import { buildRatio } from './compare';
import type { MeasuredProcess } from './measured-process';
import { ratioTable } from './report';
import { inTurn, type Session, warm } from './session';

const SCRIPT = 'client.process.js';
const THIS_CHECKOUT = join(__dirname, '..');

/** The subjects that every size and concurrency measures. The others run only with 1 KB, 32 at a time. */
const EVERYWHERE = [
  'undici request()',
  'nestjs-medplum, actingAs()',
  'nestjs-medplum, audit listener',
  'nestjs-medplum, compression',
  'MedplumClient',
  'fetch',
  'axios',
];

const calls = (size: Size) => (measured: MeasuredProcess, count: number, concurrency: number) =>
  measured.ask({ do: 'run', size, count, concurrency });

/** Starts a client in its own process. The result is its subject for each size. */
async function client(session: Session, name: string, baseUrl: string): Promise<(size: Size) => Subject> {
  const measured = await session.start(SCRIPT, name, baseUrl, THIS_CHECKOUT);
  return (size) => ({ name, run: (count, concurrency) => calls(size)(measured, count, concurrency) });
}

/** Compares the library with other clients. */
export async function compareClients(session: Session, baseUrl: string): Promise<void> {
  const { subjects, sizes, concurrencies, effort } = session.options;
  const started = new Map<string, (size: Size) => Subject>();
  for (const name of subjects ?? Object.keys(CLIENTS)) {
    started.set(name, await client(session, name, baseUrl));
  }
  let how = effort;
  for (const size of sizes) {
    for (const concurrency of concurrencies) {
      const all = subjects !== undefined || (size === '1 KB' && concurrency === 32);
      const chosen = [...started].filter(([name]) => all || EVERYWHERE.includes(name)).map(([, of]) => of(size));
      await session.compare(`${size}, ${concurrency} at a time`, chosen, concurrency, how);
      how = warm(effort);
    }
  }
}

/** Compares this build with the build of another checkout, one kind of call after the other. */
export async function compareBuilds(session: Session, baseUrl: string, otherCheckout: string): Promise<void> {
  const { subjects = Object.keys(LIBRARY_CALLS), sizes, concurrencies } = session.options;
  const results = new Map<string, BuildRatio[]>();
  for (const name of subjects) {
    const otherBuild = await session.startCopies(SCRIPT, name, baseUrl, otherCheckout);
    const thisBuild = await session.startCopies(SCRIPT, name, baseUrl, THIS_CHECKOUT);
    let how = session.effortOfCopies;
    for (const size of sizes) {
      for (const concurrency of concurrencies) {
        const title = `${size}, ${concurrency} at a time`;
        const pair = [
          { name: otherCheckout, run: inTurn(otherBuild, calls(size)) },
          { name: 'this build', run: inTurn(thisBuild, calls(size)) },
        ];
        const { figures } = await session.compare(`${name}: ${title}`, pair, concurrency, how);
        const [other, ours] = figures;
        if (other && ours) {
          results.set(title, [...(results.get(title) ?? []), buildRatio(name, ours, other)]);
        }
        how = warm(session.effortOfCopies);
      }
    }
    await session.closeAll();
  }
  for (const [title, ratios] of results) {
    session.buildRatios.push({ title, ratios });
    console.log(ratioTable(`This build and ${otherCheckout}: ${title}`, ratios));
  }
}

/** Measures what the option `batchReads` saves and costs. */
export async function measureBatches(session: Session, baseUrl: string): Promise<void> {
  for (const [title, clients] of [
    ['20 reads of one handler', TWENTY_READS],
    ['A read that is alone in its tick', LONE_READ],
  ] as const) {
    const subjects: Subject[] = [];
    for (const name of Object.keys(clients)) {
      const copies = await session.startCopies(SCRIPT, name, baseUrl, THIS_CHECKOUT);
      subjects.push({ name, run: inTurn(copies, calls('1 KB')) });
    }
    await session.compare(title, subjects, 1, session.effortOfCopies);
    await session.closeAll();
  }
}

/** Measures how much the heap grows while many users call. */
export async function measureMemory(session: Session, baseUrl: string): Promise<void> {
  const measured = await session.start(SCRIPT, 'memory', baseUrl, THIS_CHECKOUT);
  const [count, identities] = [session.options.small ? 20_000 : 200_000, 10_000];
  const { heap = Number.NaN } = await measured.ask({ do: 'memory', calls: count, identities });
  session.heapGrowth = heap;
  const megabytes = (heap / 2 ** 20).toFixed(2);
  console.log(`### Memory\n\nThe heap grew by ${megabytes} MB during ${count} calls for ${identities} users.\n`);
}

/** Measures whether a call costs more once many users have called. */
export async function measureScaling(session: Session, baseUrl: string): Promise<void> {
  const subjects: Subject[] = [];
  for (const identities of [10, 1_000, session.options.small ? 10_000 : 100_000]) {
    subjects.push((await client(session, `${identities} identities`, baseUrl))('1 KB'));
  }
  await session.compare('One call, after this many users have called', subjects, 32, session.options.effort);
}
