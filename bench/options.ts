import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Size } from './bench.types';
import { CLIENTS, LIBRARY_CALLS } from './client-subjects';
import type { Effort } from './compare';

const PARTS = ['client', 'nest', 'batches', 'memory', 'scaling', 'quota', 'emulator'] as const;
const SIZES: readonly Size[] = ['1 KB', '100 KB', '1 MB'];
/** 32 comes first: the first comparison includes every subject, and warms it up. */
const CONCURRENCIES = [32, 1, 256];
const ROUNDS = ['full', 'small'] as const;

export type Part = (typeof PARTS)[number];

export interface BenchOptions {
  readonly parts: readonly Part[];
  /** The subjects of the client part. `undefined`: all of them for the first comparison, and a few for the others. */
  readonly subjects?: readonly string[];
  readonly sizes: readonly Size[];
  readonly concurrencies: readonly number[];
  /** The folder of another checkout. */
  readonly against?: string;
  /** Whether to measure too little to compare anything, only to see that everything runs. */
  readonly small: boolean;
  readonly effort: Effort;
  /** The file for the results. */
  readonly out: string;
  readonly help: boolean;
}

const names = (values: readonly string[]): string => values.map((value) => `    ${value}`).join('\n');

export const usage = (): string => `npm run bench -- [options]

Measures the CPU time and the wall time of one operation: a call to Medplum, or a request to your app.
Without options, it measures everything in about ten minutes.

  --only PART        Measure only this part: ${PARTS.join(', ')}.
  --subject NAME     Measure only this subject of the client part. The names are listed below.
  --size SIZE        Use only this response size in the client part: ${SIZES.map((size) => `'${size}'`).join(', ')}.
  --concurrency N    Run N calls at a time in the client part. Default: ${CONCURRENCIES.join(', ')}, one after the other.
  --against DIR      Compare each call of this build with the same call of the build in DIR: another checkout, with its
                     own node_modules and dist. Measures nothing else. Default: 1 KB, 32 at a time, in ten minutes.
  --rounds AMOUNT    ${ROUNDS.join(' or ')}. Default: full. small shows in a minute or two that everything runs. Its code is
                     still cold, so do not compare its figures.
  --out FILE         Write the results to FILE as JSON. Default: reports/bench.json.
  --help             Print this text.

You can repeat --only, --subject, --size and --concurrency.

Subjects of the client part:
${names(Object.keys(CLIENTS))}
`;

function oneOf<T extends string>(option: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found === undefined) {
    throw new Error(`--${option} does not know "${value}". Use one of: ${allowed.join(' | ')}.`);
  }
  return found;
}

function positive(option: string, value: string): number {
  if (!/^[1-9]\d*$/.test(value)) {
    throw new Error(`--${option} needs a number of 1 or more, and got "${value}".`);
  }
  return Number(value);
}

function otherCheckout(folder: string): string {
  const found = resolve(folder);
  if (!existsSync(join(found, 'dist/index.js')) || !existsSync(join(found, 'package.json'))) {
    throw new Error(`--against found no build in "${folder}". Run "npm ci && npm run build" in that checkout.`);
  }
  return found;
}

/** @throws Error if an option or a value is unknown. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', multiple: true },
      subject: { type: 'string', multiple: true },
      size: { type: 'string', multiple: true },
      concurrency: { type: 'string', multiple: true },
      against: { type: 'string' },
      rounds: { type: 'string', default: 'full' },
      out: { type: 'string', default: 'reports/bench.json' },
      help: { type: 'boolean', default: false },
    },
  });
  const small = oneOf('rounds', values.rounds, ROUNDS) === 'small';
  const against = values.against === undefined ? undefined : otherCheckout(values.against);
  const only = values.only?.map((part) => oneOf('only', part, PARTS));
  if (against !== undefined && only?.some((part) => part !== 'client')) {
    throw new Error('--against works with the client part alone. Leave the other parts out of --only.');
  }
  const subjects = Object.keys(against === undefined ? CLIENTS : LIBRARY_CALLS);
  return {
    parts: against === undefined ? (only ?? PARTS) : ['client'],
    subjects: values.subject?.map((name) => oneOf('subject', name, subjects)),
    sizes: values.size?.map((size) => oneOf('size', size, SIZES)) ?? (against === undefined ? SIZES : ['1 KB']),
    concurrencies:
      values.concurrency?.map((count) => positive('concurrency', count)) ??
      (against === undefined ? CONCURRENCIES : [32]),
    against,
    small,
    effort: small ? { rounds: 3, round: 80, warmUp: 500 } : { rounds: 9, round: 250, warmUp: 3_000 },
    out: values.out,
    help: values.help,
  };
}
