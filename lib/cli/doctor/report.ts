import type { CheckedFinding, FindingLevel } from './check';
import { type AccessRow, INTERACTIONS } from './server/access-table';

/** Marks the format of the JSON report. It changes when a reader of the old format could misread the new one. */
const FORMAT = 'nestjs-medplum-doctor/1';

/** What a run found. */
export interface Report {
  /** Title and findings of each part of the run. */
  readonly parts: readonly { readonly title: string; readonly findings: readonly CheckedFinding[] }[];
}

/** Whether nothing is broken. Warnings do not count. */
export function isHealthy(report: Report): boolean {
  return count(report, 'error') === 0;
}

/** The report for programs: one JSON object. */
export function jsonReport(report: Report): string {
  const findings = report.parts.flatMap((part) => part.findings);
  const access = findings.find((finding) => finding.access)?.access;
  const result = {
    format: FORMAT,
    healthy: isHealthy(report),
    errors: count(report, 'error'),
    warnings: count(report, 'warning'),
    findings: findings.map(({ check, level, what, why, fix }) => ({ check, level, what, why, fix })),
    access,
  };
  return `${JSON.stringify(result, undefined, 2)}\n`;
}

/** ANSI colours of the marks. The words say the same. */
const COLORS: Readonly<Record<FindingLevel, number>> = { ok: 32, warning: 33, error: 31, skipped: 90 };

/** The report for a person. */
export function textReport(report: Report, colors: boolean): string {
  const mark = (level: FindingLevel): string => {
    const word = level.padEnd(7);
    return colors ? `\u001B[${COLORS[level]}m${word}\u001B[0m` : word;
  };
  const lines: string[] = [];
  for (const { title, findings } of report.parts) {
    lines.push(title);
    for (const { check, level, what, why, fix, access } of findings) {
      lines.push(`  ${mark(level)}  ${check.padEnd(11)}  ${what}`);
      lines.push(...(why === undefined ? [] : [`${INDENT}why: ${why}`]));
      lines.push(...(fix === undefined ? [] : [`${INDENT}fix: ${fix}`]));
      lines.push(...(access ? table(access).map((line) => INDENT + line) : []));
    }
    lines.push('');
  }
  const errors = count(report, 'error');
  const warnings = count(report, 'warning');
  lines.push(
    `${isHealthy(report) ? 'healthy' : 'not healthy'}: ${plural(errors, 'error')}, ${plural(warnings, 'warning')}`,
  );
  return `${lines.join('\n')}\n`;
}

const INDENT = ' '.repeat(24);

function table(rows: readonly AccessRow[]): string[] {
  const width = Math.max(...rows.map(({ resourceType }) => resourceType.length), 4);
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => cell.padEnd(index === 0 ? width : 7))
      .join('  ')
      .trimEnd();
  return [
    line(['type', ...INTERACTIONS]),
    ...rows.map(({ resourceType, may }) =>
      line([
        resourceType,
        ...INTERACTIONS.map((interaction) => (may[interaction] === 'none' ? '-' : may[interaction])),
      ]),
    ),
  ];
}

function plural(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function count({ parts }: Report, level: FindingLevel): number {
  return parts.flatMap(({ findings }) => findings).filter((finding) => finding.level === level).length;
}
