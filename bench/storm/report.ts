import type { StormResult } from './storm';

/**
 * How much the heap may grow in the second half of a storm, in bytes. The first half fills caches and compiles code. An
 * event or a call that is kept takes about 1 KB, so 10,000 of them would show.
 */
const MOST_GROWTH = 5 * 1024 * 1024;

const megabytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MB`;

const row = ([name, value]: [string, number]): string => `  ${name.padEnd(38)}${String(value).padStart(10)}`;

/** The table of a storm, and whether everything that should be zero is zero. */
export function reportStorm({ seconds, ledger, server, sockets, heap }: StormResult): {
  readonly text: string;
  readonly isGood: boolean;
} {
  const { counts } = ledger;
  // An attempt that the server saw and no event has is lost as well.
  const unrecorded = Math.max(0, server.requests - counts.attempts);
  const lostEvents = counts.lostEvents + unrecorded;
  const mixUps = counts.mixUps + server.mixUps + server.forbidden;
  const leaked = sockets + server.connections;
  const half = Math.floor(heap.length / 2);
  const growth = (heap.at(-1) ?? 0) - (heap[half] ?? 0);
  const slope = growth / (heap.length - 1 - half) / (counts.calls / heap.length);
  const isFlat = growth < MOST_GROWTH;
  const happened = {
    calls: counts.calls,
    'that succeeded': counts.succeeded,
    'that failed, as they had to': counts.failed,
    'that were refused, as they had to be': counts.refused,
    'requests by methods': counts.requests,
    events: counts.events,
    'attempts in events': counts.attempts,
    'requests at the server': server.requests,
    'faults of the server': server.faults,
    retries: counts.retries,
    'outer retries': counts.outerRetries,
    'clients that hung up': counts.hangUps,
  };
  const judged = {
    'mix-ups': mixUps,
    'lost events': lostEvents,
    'leaked sockets': leaked,
    'other surprises': counts.surprises,
  };
  const lines = [
    ...Object.entries(happened).map(row),
    '',
    ...Object.entries(judged).map(row),
    `  heap${(isFlat ? 'flat' : 'GROWS').padStart(44)}  (${megabytes(growth)} in the second half of ${heap.length} samples, ${slope.toFixed(1)} bytes a call: ${heap.map(megabytes).join(', ')})`,
    '',
    ...[...server.examples, ...ledger.examples].map((example) => `  e.g. ${example}`),
    `${Math.round(seconds)} s, ${Math.round(counts.calls / seconds)} calls/s.`,
  ];
  const isGood = isFlat && Object.values(judged).every((value) => value === 0) && counts.calls > 0;
  return { text: lines.join('\n'), isGood };
}
