import type { Comparison } from './bench.types';
import { grid } from './report';

export const BARE = 'bare handler';
export const PASSING = 'guard + passing interceptor';
/** nestjs-cls makes every promise dearer before Node 24, whoever uses it: what we add is seen against this one. */
export const PASSING_WITH_CLS = 'the same, nestjs-cls loaded';

/** A cost of one request, in µs, beside that of a guard and an interceptor that do nothing. */
interface Cost {
  readonly total: number;
  /** Above a handler without anything. */
  readonly added: number;
  /** To {@link PASSING}, and to {@link PASSING_WITH_CLS}. */
  readonly ratiosOfTotal: readonly number[];
  readonly ratiosOfAdded: readonly number[];
}

/** What one request costs an app. */
export interface HandlerCost {
  readonly platform: string;
  readonly name: string;
  /** All CPU time. */
  readonly cpu: Cost;
  /** Without that of the kernel: it does the same for all of them, but not always at the same price. */
  readonly user: Cost;
}

export function handlerCosts(platform: string, { figures }: Comparison): readonly HandlerCost[] {
  const costOf = (name: string, kind: 'cpu' | 'user'): Cost => {
    const of = (one: string): number => figures.find((figure) => figure.name === one)?.[kind] ?? Number.NaN;
    const [total, bare, others] = [of(name), of(BARE), [of(PASSING), of(PASSING_WITH_CLS)]];
    return {
      total,
      added: total - bare,
      ratiosOfTotal: others.map((other) => total / other),
      ratiosOfAdded: others.map((other) => (total - bare) / (other - bare)),
    };
  };
  return figures.map(({ name }) => ({ platform, name, cpu: costOf(name, 'cpu'), user: costOf(name, 'user') }));
}

export function handlerTable(platform: string, costs: readonly HandlerCost[]): string {
  const tables = (['cpu', 'user'] as const).flatMap((kind) => {
    const head = [kind, 'total, µs', 'ratio', 'ratio, cls', 'above bare, µs', 'ratio', 'ratio, cls'];
    const rows = costs.map(({ name, [kind]: { total, added, ratiosOfTotal, ratiosOfAdded } }) => [
      name,
      total.toFixed(1),
      ...ratiosOfTotal.map((ratio) => ratio.toFixed(2)),
      added.toFixed(1),
      ...ratiosOfAdded.map((ratio) => ratio.toFixed(2)),
    ]);
    return [...grid(head, rows), ''];
  });
  return [`${platform}, ratios to "${PASSING}", without and with nestjs-cls loaded:`, '', ...tables].join('\n');
}
