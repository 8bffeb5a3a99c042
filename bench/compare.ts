import type { BuildRatio, Comparison, Figure, Subject, Usage } from './bench.types';

/** How long to measure. */
export interface Effort {
  readonly rounds: number;
  /** How long each subject runs before the first round, in ms. Long enough for V8 to compile it in each of its processes. */
  readonly warmUp: number;
  /** Length of one round of one subject, in ms. */
  readonly round: number;
}

/** The value below which `share` of the values lie. */
const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;

const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Warms a subject up, and finds out how many operations fill one round. */
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

/** Measures the subjects in turn, round after round, so that other work on the machine disturbs all of them alike. */
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
    // Every other round runs backwards, so that no subject always follows the same one.
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
      rounds: cpus,
    };
  });
  return { title, figures };
}

/** Compares two builds round by round: both ran in the same moment, so a busy machine changes the ratio little. */
export function buildRatio(subject: string, thisBuild: Figure, otherBuild: Figure): BuildRatio {
  const ratios = thisBuild.rounds.map((cpu, round) => cpu / (otherBuild.rounds[round] ?? Number.NaN));
  return {
    subject,
    thisBuild: thisBuild.cpu,
    otherBuild: otherBuild.cpu,
    ratio: median(ratios),
    quartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
  };
}
