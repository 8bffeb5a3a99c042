import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import type { Comparison } from './bench.types';

/** What the figures were made on. */
export function machine(): string {
  const [first] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const load = (loadavg()[0] ?? 0).toFixed(1);
  return `Node ${process.versions.node}, V8 ${process.versions.v8}, ${process.platform} ${release()}, ${cpus().length} x ${first?.model ?? 'unknown CPU'}, ${memory} GB, load ${load}`;
}

/** A comparison as a Markdown table; ratios are of CPU time, to the first subject. */
export function table({ title, figures }: Comparison): string {
  const [limit] = figures;
  const rows = figures.map(({ name, cpu, wall, range }) => [
    name,
    cpu.toFixed(1),
    `${range[0].toFixed(1)} - ${range[1].toFixed(1)}`,
    wall.toFixed(1),
    (cpu / (limit?.cpu ?? cpu)).toFixed(2),
  ]);
  return [`### ${title}`, '', ...grid(['', 'CPU, µs', 'range', 'wall, µs', 'ratio'], rows), ''].join('\n');
}

/** Lines of a Markdown table, columns in line. */
export function grid(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((cell, i) => Math.max(cell.length, 3, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)];
}

/** Writes everything as JSON. */
export function writeJson(file: string, content: object): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(content, undefined, 2)}\n`);
}
