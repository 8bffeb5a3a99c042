/** The rows of a table. The keys of the first row are the columns. */
export type TableRows = readonly Readonly<Record<string, string | number | undefined>>[];

/** Makes a table for terminals. Each column is as wide as its longest cell. */
export function textTable(rows: TableRows): string {
  const columns = Object.keys(rows[0] ?? {});
  const lines = [columns, ...rows.map((row) => columns.map((column) => String(row[column] ?? '-')))];
  const widths = columns.map((_column, index) => Math.max(...lines.map((cells) => cells[index]?.length ?? 0)));
  const written = lines.map((cells) => `  ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('  ')}`);
  const rule = `  ${widths.map((width) => '-'.repeat(width)).join('  ')}`;
  const [head = '', ...body] = written.map((line) => line.trimEnd());
  return [head, rule, ...body].join('\n');
}
