import { quotaTable, type QuotaRow } from './report';
import type { Session } from './session';

/** The server of the simulation: how long a request takes, and how many it works on at a time. */
const SERVER = { latency: 20, concurrency: 32 };
const THIS_CHECKOUT = `${__dirname}/..`;

/** Simulates one greedy user and 99 modest ones, without and with the option `quota`. */
export async function simulateQuota(session: Session): Promise<void> {
  const greedyCalls = session.options.small ? 500 : 2_000;
  const seconds = session.options.small ? 1 : 4;
  for (const quota of ['without quota', 'with quota'] as const) {
    const server = await session.start('slow-server.process.js', `${SERVER.latency}`, `${SERVER.concurrency}`);
    const row: Partial<Record<'alone' | 'besideGreedy', QuotaRow['alone']>> = {};
    for (const greedy of [0, greedyCalls]) {
      const args = [server.ready, THIS_CHECKOUT, quota === 'with quota' ? `${SERVER.concurrency}` : '0'];
      const client = await session.start('quota.process.js', ...args, `${greedy}`, `${seconds}`);
      const { latencies = [] } = await client.ask({ do: 'usage' });
      const sorted = latencies.toSorted((a, b) => a - b);
      const at = (part: number): number => sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
      row[greedy === 0 ? 'alone' : 'besideGreedy'] = { p50: at(0.5), p99: at(0.99), calls: sorted.length };
    }
    const { alone, besideGreedy } = row;
    if (alone && besideGreedy) {
      session.quotaRows.push({ name: quota, alone, besideGreedy });
    }
    await session.closeAll();
  }
  console.log(quotaTable(greedyCalls, session.quotaRows));
}
