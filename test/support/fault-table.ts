import { CALL_NAMES, type ObservedCall, type ObservedCell, type ObservedRow } from './fault-matrix';

/** Example: `3 requests: MedplumServerError 503, none, retryable`. ` + ` joins several calls. */
export function summary({ requests, calls }: ObservedCell): string {
  return `${counted(requests.length, 'request')}: ${results(calls).join(' + ')}`;
}

/** The results of the calls, each different one once. */
function results(calls: readonly ObservedCall[]): string[] {
  const counts = new Map<string, number>();
  for (const { error, events } of calls) {
    const what = error ? [error.name, error.status].filter((part) => part !== undefined).join(' ') : 'answered';
    const effect = error ? error.effect : events[0]?.effect;
    const text = `${what}, ${effect}${error?.retryable ? ', retryable' : ''}`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].map(([text, count]) => (count === 1 ? text : `${count} × ${text}`));
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** The numbers of a cell: requests, events and open connections. */
function countsOf({ requests, calls, connections }: ObservedCell): string {
  const events = calls.flatMap((call) => call.events);
  return `${counted(requests.length, 'request')}, ${counted(events.length, 'event')}, ${connections} open`;
}

/** Formats a cell as lines, with the effect of each result below it. */
function linesOf(cell: ObservedCell): string[] {
  const lines = results(cell.calls).flatMap((result) => {
    const [what = '', ...effect] = result.split(', ');
    return [what, `  ${effect.join(', ')}`];
  });
  return [countsOf(cell), ...lines];
}

/** Formats the matrix as text of fixed width. */
export function asText(rows: readonly ObservedRow[]): string {
  const table = [['Fault', ...CALL_NAMES].map((title) => [title])];
  for (const { name, cells } of rows) {
    table.push([wrapped(name, 28), ...CALL_NAMES.map((call) => linesOf(cells[call]))]);
  }
  const widths = table[0]?.map((_, i) => Math.max(...table.flatMap((row) => row[i] ?? []).map((line) => line.length)));
  const rule = `+${widths?.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const lines = table.flatMap((row) => {
    const height = Math.max(...row.map((cell) => cell.length));
    const text = Array.from({ length: height }, (_, line) =>
      row.map((cell, i) => ` ${(cell[line] ?? '').padEnd(widths?.[i] ?? 0)} `).join('|'),
    );
    return [...text.map((line) => `|${line}|`), rule];
  });
  return [rule, ...lines, ''].join('\n');
}

function markdownRow(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** Formats the matrix as a Markdown table. */
export function asMarkdown(rows: readonly ObservedRow[]): string {
  return [
    markdownRow(['Fault', ...CALL_NAMES]),
    markdownRow(['Fault', ...CALL_NAMES].map(() => '---')),
    ...rows.map(({ name, cells }) =>
      markdownRow([
        name,
        ...CALL_NAMES.map((call) => `${countsOf(cells[call])}: ${results(cells[call].calls).join(' + ')}`),
      ]),
    ),
    '',
  ].join('\n');
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else {
      lines.push(word);
    }
  }
  return lines;
}
