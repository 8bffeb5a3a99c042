import { setTimeout as sleep } from 'node:timers/promises';
import type { Reply } from './bench.types';
import { service } from './client-subjects';
import { serve, usageOf } from './measured-process';
import { PATIENT_ID } from './patient-id';

const [, , baseUrl = '', checkout = '', maxConcurrent = '0', greedyCalls = '0', seconds = '1'] = process.argv;

const MODEST = 99;
/** Each modest user makes a call this often, in ms, and does not wait for the one before. */
const EVERY = 200;

/** As inbound requests would: each batch of calls is an event of its own, so their making does not block the others. */
async function greedy(read: (user: string) => Promise<unknown>): Promise<void> {
  const calls: Promise<unknown>[] = [];
  while (calls.length < Number(greedyCalls)) {
    calls.push(...Array.from({ length: 10 }, () => read('greedy')));
    await new Promise(setImmediate);
  }
  await Promise.all(calls);
}

/** Simulates the users. Returns how long each call of the modest users took, in ms. */
async function simulate(): Promise<Reply> {
  const quota =
    maxConcurrent === '0' ? undefined : { maxConcurrent: Number(maxConcurrent), maxQueuedPerIdentity: 5_000 };
  const { medplum } = await service({ baseUrl, checkout }, { quota, timeout: 60_000 });
  const read = (user: string): Promise<unknown> => medplum.readResource('Patient', PATIENT_ID, { onBehalfOf: user });
  // Opens the connections and lets V8 compile the code, so that both runs measure the same.
  await Promise.all(Array.from({ length: 2_000 }, (_, i) => read(`warm-up-${i % 100}`)));
  const latencies: number[] = [];
  const timed = async (user: string): Promise<void> => {
    const start = performance.now();
    await read(user);
    latencies.push(performance.now() - start);
  };
  const modest = async (index: number): Promise<void> => {
    await sleep((index * EVERY) / MODEST);
    const calls: Promise<void>[] = [];
    for (const end = performance.now() + Number(seconds) * 1000; performance.now() < end;) {
      calls.push(timed(`modest-${index}`));
      await sleep(EVERY);
    }
    await Promise.all(calls);
  };
  const usage = await usageOf(() =>
    Promise.all([...Array.from({ length: MODEST }, (_, index) => modest(index)), greedy(read)]),
  );
  return { ...usage, latencies };
}

serve('', simulate);
