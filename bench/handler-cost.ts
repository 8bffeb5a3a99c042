import type { Comparison } from './bench.types';
import { grid } from './report';

export const EMPTY = 'empty handler';
export const PASSING = 'guard and interceptor that do nothing';
/** Loading nestjs-cls makes every promise cost more before Node 24, so this is the fair baseline for the library. */
export const PASSING_WITH_CLS = 'the same, nestjs-cls loaded';
export const DECORATED = '@OnBehalfOf()';
export const CLS_MIDDLEWARE = 'ClsMiddleware';

/** The cost of one request to an app, in µs. Each ratio pair is to {@link PASSING} and to {@link PASSING_WITH_CLS}. */
interface Cost {
  readonly total: number;
  /** The cost above that of {@link EMPTY}. */
  readonly added: number;
  readonly ratiosOfTotal: readonly number[];
  readonly ratiosOfAdded: readonly number[];
}

export interface HandlerCost {
  readonly platform: string;
  readonly name: string;
  /** All CPU time. */
  readonly cpu: Cost;
  /** CPU time outside the kernel. The kernel does the same work for every app, but its cost varies. */
  readonly user: Cost;
}

export function handlerCosts(platform: string, { figures }: Comparison): readonly HandlerCost[] {
  const costOf = (name: string, kind: 'cpu' | 'user'): Cost => {
    const of = (one: string): number => figures.find((figure) => figure.name === one)?.[kind] ?? Number.NaN;
    const [total, empty, others] = [of(name), of(EMPTY), [of(PASSING), of(PASSING_WITH_CLS)]];
    return {
      total,
      added: total - empty,
      ratiosOfTotal: others.map((other) => total / other),
      ratiosOfAdded: others.map((other) => (total - empty) / (other - empty)),
    };
  };
  return figures.map(({ name }) => ({ platform, name, cpu: costOf(name, 'cpu'), user: costOf(name, 'user') }));
}

export function handlerTable(platform: string, costs: readonly HandlerCost[]): string {
  const tables = (['cpu', 'user'] as const).flatMap((kind) => {
    const label = kind === 'cpu' ? 'CPU per request' : 'CPU outside the kernel';
    const head = [label, 'total, µs', 'ratio', 'ratio, cls', 'added, µs', 'ratio', 'ratio, cls'];
    const rows = costs.map(({ name, [kind]: { total, added, ratiosOfTotal, ratiosOfAdded } }) => [
      name,
      total.toFixed(1),
      ...ratiosOfTotal.map((ratio) => ratio.toFixed(2)),
      added.toFixed(1),
      ...ratiosOfAdded.map((ratio) => ratio.toFixed(2)),
    ]);
    return [...grid(head, rows), ''];
  });
  const legend = [
    `"added" is the cost above the ${EMPTY}.`,
    `"ratio" is to the ${PASSING}, "ratio, cls" to the same with nestjs-cls loaded.`,
  ];
  return [`${platform}: ${legend.join(' ')}`, '', ...tables].join('\n');
}
