import { Pool } from 'undici';
import type { Subject, Usage } from './bench.types';
import {
  CLS_MIDDLEWARE,
  DECORATED,
  EMPTY,
  handlerCosts,
  handlerTable,
  PASSING,
  PASSING_WITH_CLS,
} from './handler-cost';
import { type MeasuredProcess, repeat } from './measured-process';
import { inTurn, type Session } from './session';

const APPS = [EMPTY, PASSING, PASSING_WITH_CLS, DECORATED, CLS_MIDDLEWARE];

interface App {
  readonly measured: MeasuredProcess;
  readonly pool: Pool;
}

/** The time an app uses while this process sends it requests. */
async function usageOf({ measured, pool }: App, count: number, concurrency: number): Promise<Usage> {
  const before = await measured.ask({ do: 'usage' });
  await repeat(count, concurrency, () => get(pool, '/patient'));
  const after = await measured.ask({ do: 'usage' });
  return { cpu: after.cpu - before.cpu, user: after.user - before.user, wall: after.wall - before.wall };
}

async function get(pool: Pool, path: string): Promise<void> {
  const { statusCode, body } = await pool.request({ method: 'GET', path });
  await body.dump();
  if (statusCode !== 200) {
    throw new Error(`The app responded to ${path} with status ${statusCode}, and the benchmark expects 200.`);
  }
}

/**
 * Measures what guard and interceptor add to a request to your app. That is a small difference between large figures,
 * so each app runs in several processes.
 */
export async function measureHandlers(session: Session): Promise<void> {
  for (const platform of ['Fastify', 'Express']) {
    const subjects: Subject[] = [];
    const pools: Pool[] = [];
    for (const name of APPS) {
      const apps = (await session.startCopies('nest.process.js', name, platform)).map((measured): App => {
        const pool = new Pool(measured.ready, { connections: 32 });
        pools.push(pool);
        return { measured, pool };
      });
      subjects.push({ name, run: inTurn(apps, usageOf) });
    }
    const comparison = await session.compare(`${platform}, one request`, subjects, 32, session.effortOfCopies);
    const costs = handlerCosts(platform, comparison);
    session.handlers.push(...costs);
    console.log(handlerTable(platform, costs));
    await Promise.all(pools.map((pool) => pool.close()));
    await session.closeAll();
  }
}
