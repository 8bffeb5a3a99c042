import { setTimeout as wait } from 'node:timers/promises';
import { Ledger } from './ledger';
import type { StormOptions } from './options';
import { Random } from './random';
import { StormApp } from './storm-app';
import { StormServer } from './storm-server';
import type { ServerCounts } from './storm.types';

/** Scenes that play at once. */
const WORKERS = 64;
/** The heap is measured after each of as many equal parts. The first part warms it up. */
const PARTS = 10;
/** How long sockets may take to close, in ms. */
const CLOSING = 5_000;

export interface StormResult {
  readonly seconds: number;
  readonly ledger: Ledger;
  readonly server: ServerCounts;
  /** Sockets that this process still has, after everything was closed. */
  readonly sockets: number;
  /** The heap after each part, in bytes. */
  readonly heap: readonly number[];
}

/** Plays the storm to its end, and closes everything. */
export async function playStorm(options: StormOptions): Promise<StormResult> {
  const random = new Random(options.seed);
  const began = performance.now();
  const ledger = new Ledger();
  const server = await StormServer.start(random.seed());
  const apps: StormApp[] = [];
  try {
    for (const platform of options.platforms) {
      for (const kind of options.dispatchers) {
        apps.push(await StormApp.start(platform, kind, server.baseUrl, options.users, ledger));
      }
    }
    const heap = await playParts(options, apps, ledger, random, began + options.seconds * 1000);
    await Promise.all(apps.splice(0).map((app) => app.close()));
    const seconds = (performance.now() - began) / 1000;
    return { seconds, ledger, ...(await countsOnceClosed(server)), heap };
  } finally {
    await Promise.allSettled(apps.map((app) => app.close()));
    await server.close();
  }
}

async function playParts(
  options: StormOptions,
  apps: readonly StormApp[],
  ledger: Ledger,
  random: Random,
  until: number,
): Promise<number[]> {
  const heap: number[] = [];
  for (let part = 1; part <= PARTS; part++) {
    const target = Math.ceil((options.calls * part) / PARTS);
    const worker = async (own: Random): Promise<void> => {
      while (ledger.counts.calls < target && performance.now() < until) {
        await apps[own.below(apps.length)]?.play(own);
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, () => worker(new Random(random.seed()))));
    await ledger.settle();
    heap.push(await heapAtRest());
  }
  return heap;
}

async function heapAtRest(): Promise<number> {
  if (!globalThis.gc) {
    throw new Error('The heap cannot be measured. Run node with --expose-gc.');
  }
  for (let pass = 0; pass < 3; pass++) {
    await wait(20);
    globalThis.gc();
  }
  return process.memoryUsage().heapUsed;
}

/** Sockets close on their own time, so this waits for them, but not for ever. */
async function countsOnceClosed(server: StormServer): Promise<{ server: ServerCounts; sockets: number }> {
  const until = performance.now() + CLOSING;
  for (;;) {
    const sockets = process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length;
    const counts = await server.counts();
    if ((sockets === 0 && counts.connections === 0) || performance.now() > until) {
      return { server: counts, sockets };
    }
    await wait(20);
  }
}
