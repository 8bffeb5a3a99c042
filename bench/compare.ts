import type { Comparison, Figure, Subject, Usage } from './bench.types';

/** How long is measured. */
export interface Effort {
  readonly rounds: number;
  /** How long each subject runs before anything counts, in ms: until its code is compiled, in each of its processes. */
  readonly warmUp: number;
  /** Length of one round of one subject, in ms. */
  readonly round: number;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Operations that fill a round, found out while the subject gets warm. */
async function countFor(subject: Subject, concurrency: number, effort: Effort): Promise<number> {
  let [count, spent] = [concurrency, 0];
  for (;;) {
    const { wall } = await subject.run(count, concurrency);
    spent += wall / 1000;
    const each = wall / 1000 / count;
    if (spent >= effort.warmUp) {
      return Math.max(concurrency, Math.round(effort.round / each));
    }
    count = Math.max(concurrency, Math.min(count * 2, Math.round(effort.round / each)));
  }
}

/** Measures all subjects in turn, round after round, so that what disturbs the machine disturbs all of them. */
export async function compare(
  title: string,
  subjects: readonly Subject[],
  concurrency: number,
  effort: Effort,
): Promise<Comparison> {
  const counts = new Map<Subject, number>();
  const rounds = new Map<Subject, Usage[]>(subjects.map((subject) => [subject, []]));
  for (const subject of subjects) {
    counts.set(subject, await countFor(subject, concurrency, effort));
  }
  for (let round = 0; round < effort.rounds; round++) {
    // Every other round goes backwards, so that none always runs after the same one.
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
      const count = counts.get(subject) ?? concurrency;
      const { cpu, user, wall } = await subject.run(count, concurrency);
      rounds.get(subject)?.push({ cpu: cpu / count, user: user / count, wall: wall / count });
    }
  }
  const figures = subjects.map((subject): Figure => {
    const usages = rounds.get(subject) ?? [];
    const cpus = usages.map(({ cpu }) => cpu);
    return {
      name: subject.name,
      count: counts.get(subject) ?? 0,
      cpu: median(cpus),
      user: median(usages.map(({ user }) => user)),
      wall: median(usages.map(({ wall }) => wall)),
      range: [Math.min(...cpus), Math.max(...cpus)],
    };
  });
  return { title, figures };
}
