import type { BuildRatio, Comparison, Subject, Usage } from './bench.types';
import { compare, type Effort } from './compare';
import type { HandlerCost } from './handler-cost';
import { MeasuredProcess } from './measured-process';
import type { BenchOptions } from './options';
import { type QuotaRow, table } from './report';

/** One run of the benchmark: its options, the processes that are open, and the results so far. */
export class Session {
  readonly comparisons: Comparison[] = [];
  readonly handlers: HandlerCost[] = [];
  readonly buildRatios: { readonly title: string; readonly ratios: readonly BuildRatio[] }[] = [];
  readonly quotaRows: QuotaRow[] = [];
  readonly emulatorLines: string[] = [];
  /** In bytes. */
  heapGrowth?: number;

  /**
   * How many processes each subject gets when small differences matter. V8 optimises each process a little differently
   * in its first second and keeps the result, so one process alone can mislead.
   */
  readonly copies: number;
  /** For subjects that run in `copies` processes. */
  readonly effortOfCopies: Effort;

  readonly #opened: MeasuredProcess[] = [];

  constructor(readonly options: BenchOptions) {
    const { small, effort } = options;
    this.copies = small ? 1 : 3;
    this.effortOfCopies = { ...effort, rounds: effort.rounds * this.copies, warmUp: effort.warmUp * this.copies };
  }

  /** Starts a process that {@link closeAll} will end. */
  async start(script: string, ...args: readonly string[]): Promise<MeasuredProcess> {
    const started = await MeasuredProcess.start(script, ...args);
    this.#opened.push(started);
    return started;
  }

  async startCopies(script: string, ...args: readonly string[]): Promise<MeasuredProcess[]> {
    const started: MeasuredProcess[] = [];
    while (started.length < this.copies) {
      started.push(await this.start(script, ...args));
    }
    return started;
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#opened.splice(0).map((one) => one.close()));
  }

  /** Measures the subjects side by side, prints the table and keeps it. */
  async compare(title: string, subjects: readonly Subject[], concurrency: number, effort: Effort): Promise<Comparison> {
    const comparison = await compare(title, subjects, concurrency, effort);
    this.comparisons.push(comparison);
    console.log(table(comparison));
    return comparison;
  }
}

/** For subjects that are warm already. */
export const warm = (effort: Effort): Effort => ({ ...effort, warmUp: effort.warmUp / 10 });

/** Lets the next copy run each round. */
export function inTurn<T>(
  copies: readonly T[],
  run: (copy: T, ...round: Parameters<Subject['run']>) => Promise<Usage>,
): Subject['run'] {
  const turns = [...copies];
  return (count, concurrency) => {
    const copy = turns.shift();
    if (copy === undefined) {
      throw new Error('There is no copy to run. Pass at least one.');
    }
    turns.push(copy);
    return run(copy, count, concurrency);
  };
}
