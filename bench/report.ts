import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import type { BuildRatio, Comparison } from './bench.types';

/** The machine that the figures come from, in one line. */
export function machine(): string {
  const [first] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const load = (loadavg()[0] ?? 0).toFixed(1);
  return `Node ${process.versions.node}, V8 ${process.versions.v8}, ${process.platform} ${release()}, ${cpus().length} x ${first?.model ?? 'unknown CPU'}, ${memory} GB, load ${load}`;
}

/** A comparison as a Markdown table. The ratio is the CPU time divided by that of the first subject. */
export function table({ title, figures }: Comparison): string {
  const [first] = figures;
  const rows = figures.map(({ name, cpu, wall, range }) => [
    name,
    cpu.toFixed(1),
    range[0].toFixed(1),
    range[1].toFixed(1),
    wall.toFixed(1),
    (cpu / (first?.cpu ?? cpu)).toFixed(2),
  ]);
  const head = ['per operation', 'CPU, µs', 'lowest', 'highest', 'wall, µs', 'CPU ratio to first row'];
  return [`### ${title}`, '', ...grid(head, rows), ''].join('\n');
}

/** How long the calls of the modest users took, in ms. */
export interface QuotaRow {
  readonly name: string;
  readonly alone: { readonly p50: number; readonly p99: number; readonly calls: number };
  readonly besideGreedy: { readonly p50: number; readonly p99: number; readonly calls: number };
}

/** The simulation of users as a Markdown table. */
export function quotaTable(greedyCalls: number, rows: readonly QuotaRow[]): string {
  const cells = rows.map(({ name, alone, besideGreedy }) => [
    name,
    alone.p50.toFixed(1),
    besideGreedy.p50.toFixed(1),
    alone.p99.toFixed(1),
    besideGreedy.p99.toFixed(1),
    (besideGreedy.p99 / alone.p99).toFixed(2),
  ]);
  const head = [
    '99 modest users, ms',
    'p50 alone',
    'p50 beside greedy',
    'p99 alone',
    'p99 beside greedy',
    'ratio of p99',
  ];
  return [`### One greedy user with ${greedyCalls} calls at once`, '', ...grid(head, cells), ''].join('\n');
}

/** Two builds as a Markdown table. */
export function ratioTable(title: string, ratios: readonly BuildRatio[]): string {
  const rows = ratios.map(({ subject, thisBuild, otherBuild, ratio, quartiles }) => [
    subject,
    thisBuild.toFixed(1),
    otherBuild.toFixed(1),
    ratio.toFixed(2),
    quartiles.map((quartile) => quartile.toFixed(2)).join(' to '),
  ]);
  const head = ['CPU per operation', 'this build, µs', 'other build, µs', 'ratio', 'half of the rounds'];
  return [`### ${title}`, '', ...grid(head, rows), ''].join('\n');
}

/** The lines of a Markdown table, with aligned columns. */
export function grid(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((cell, i) => Math.max(cell.length, 3, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)];
}

/** Writes `content` to `file` as JSON, and creates the folder if it is missing. */
export function writeJson(file: string, content: object): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(content, undefined, 2)}\n`);
}
