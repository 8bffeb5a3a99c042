import { randomUUID } from 'node:crypto';
import { readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Writes a file that only its owner can read, even if everybody could read the old one. It is replaced at once, so that a
 * failure leaves the old one as it was.
 *
 * @throws the error of the file system.
 */
export function writePrivateFile(file: string, text: string): void {
  // Behind a symbolic link, the file itself is replaced, not the link.
  const target = ifExists(() => realpathSync(file)) ?? file;
  const draft = `${target}.${randomUUID()}.tmp`;
  try {
    writeFileSync(draft, text, { mode: 0o600, flag: 'wx' });
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/**
 * Sets variables in a file of lines `NAME=value`, and keeps its other lines, its order and its line breaks. Afterwards
 * only the owner can read the file.
 *
 * @param values must need no quotes.
 * @throws the error of the file system.
 */
export function writeEnvFile(file: string, values: Readonly<Record<string, string>>): void {
  writePrivateFile(file, withVariables(ifExists(() => readFileSync(file, 'utf8')) ?? '', values));
}

function withVariables(before: string, values: Readonly<Record<string, string>>): string {
  const lineBreak = before.includes('\r\n') ? '\r\n' : '\n';
  let text = before;
  const missing: string[] = [];
  for (const [name, value] of Object.entries(values)) {
    let isSet = false;
    // Of several lines with one name, some readers take the first and some the last, so one is left.
    text = text.replace(
      new RegExp(`^([ \\t]*(?:export[ \\t]+)?)${name}[ \\t]*=.*$(\\r?\\n)?`, 'gm'),
      (_line, prefix: string, end: string = '') => {
        const line = isSet ? '' : `${prefix}${name}=${value}${end}`;
        isSet = true;
        return line;
      },
    );
    if (!isSet) {
      missing.push(`${name}=${value}${lineBreak}`);
    }
  }
  const separator = text === '' || text.endsWith('\n') || missing.length === 0 ? '' : lineBreak;
  return text + separator + missing.join('');
}

function ifExists<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}
