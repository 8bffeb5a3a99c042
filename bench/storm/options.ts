import { parseArgs } from 'node:util';

const PLATFORMS = ['express', 'fastify'] as const;
const DISPATCHERS = ['pool', 'agent'] as const;

export type Platform = (typeof PLATFORMS)[number];
export type DispatcherKind = (typeof DISPATCHERS)[number];

export interface StormOptions {
  readonly users: number;
  /** How many calls to make. */
  readonly calls: number;
  /** When to stop, whether or not all calls are made. */
  readonly seconds: number;
  readonly seed: number;
  readonly platforms: readonly Platform[];
  readonly dispatchers: readonly DispatcherKind[];
  readonly help: boolean;
}

export const USAGE = `npm run storm -- [options]

Makes many calls for many users at once, through Nest apps and directly, to a server that fails at random.
It exits with 1 if a user got mixed up with another, an event was lost, a socket stayed open, or the heap grew.

  --users N           How many users there are. Default: 10000.
  --calls N           How many calls to make. Default: 1000000.
  --seconds N         Stop after this time, even if calls are left. Default: 1800.
  --seed N            Seed of everything random. Default: STORM_SEED, else a new one. Each run prints its seed.
  --platform NAME     Only this platform: ${PLATFORMS.join(' or ')}. Default: both.
  --dispatcher NAME   Only this way to connect: pool (the library's own) or agent (an Agent of undici). Default: both.
  --help              Print this text.
`;

function positive(option: string, value: string): number {
  if (!/^[1-9]\d{0,8}$/.test(value)) {
    throw new Error(`--${option} needs a whole number from 1 to 999999999, and got "${value}".`);
  }
  return Number(value);
}

function only<T extends string>(option: string, value: string | undefined, known: readonly T[]): readonly T[] {
  const found = known.filter((one) => value === undefined || one === value);
  if (found.length === 0) {
    throw new Error(`--${option} does not know "${value}". Use one of: ${known.join(' | ')}.`);
  }
  return found;
}

/** @throws Error if an option or a value is unknown. */
export function readOptions(args: readonly string[], seed: string | undefined): StormOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      users: { type: 'string', default: '10000' },
      calls: { type: 'string', default: '1000000' },
      seconds: { type: 'string', default: '1800' },
      seed: { type: 'string' },
      platform: { type: 'string' },
      dispatcher: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const given = values.seed ?? seed;
  return {
    users: positive('users', values.users),
    calls: positive('calls', values.calls),
    seconds: positive('seconds', values.seconds),
    seed: given === undefined ? 1 + Math.floor(Math.random() * 999_999_999) : positive('seed', given),
    platforms: only('platform', values.platform, PLATFORMS),
    dispatchers: only('dispatcher', values.dispatcher, DISPATCHERS),
    help: values.help,
  };
}
