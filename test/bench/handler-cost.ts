import type { Comparison } from './bench.types';
import { grid } from './report';

export const BARE = 'bare handler';
export const PASSING = 'guard + passing interceptor';
/** nestjs-cls makes every promise dearer before Node 24, whoever uses it: what we add is seen against this one. */
export const PASSING_WITH_CLS = 'the same, nestjs-cls loaded';

/** What one request costs an app, in µs of CPU time, and how that compares with a guard and an interceptor that do nothing. */
export interface HandlerCost {
  readonly platform: string;
  readonly name: string;
  readonly total: number;
  /** Above a handler without anything. */
  readonly added: number;
  /** To {@link PASSING}, and to {@link PASSING_WITH_CLS}. */
  readonly ratioOfTotal: readonly [number, number];
  readonly ratioOfAdded: readonly [number, number];
}

export function handlerCosts(platform: string, { figures }: Comparison): readonly HandlerCost[] {
  const cpuOf = (name: string): number => figures.find((figure) => figure.name === name)?.cpu ?? Number.NaN;
  const [bare, passing, passingWithCls] = [cpuOf(BARE), cpuOf(PASSING), cpuOf(PASSING_WITH_CLS)];
  return figures.map(({ name, cpu }) => ({
    platform,
    name,
    total: cpu,
    added: cpu - bare,
    ratioOfTotal: [cpu / passing, cpu / passingWithCls],
    ratioOfAdded: [(cpu - bare) / (passing - bare), (cpu - bare) / (passingWithCls - bare)],
  }));
}

export function handlerTable(platform: string, costs: readonly HandlerCost[]): string {
  const head = ['', 'total, µs', 'ratio', 'ratio, cls', 'above bare, µs', 'ratio', 'ratio, cls'];
  const rows = costs.map(({ name, total, added, ratioOfTotal, ratioOfAdded }) => [
    name,
    total.toFixed(1),
    ...ratioOfTotal.map((ratio) => ratio.toFixed(2)),
    added.toFixed(1),
    ...ratioOfAdded.map((ratio) => ratio.toFixed(2)),
  ]);
  return [`${platform}, ratios to "${PASSING}", without and with nestjs-cls loaded:`, '', ...grid(head, rows), ''].join(
    '\n',
  );
}
