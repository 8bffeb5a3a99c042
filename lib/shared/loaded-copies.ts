import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const KEY = Symbol.for('nestjs-medplum:copies');

/** The folders of the copies of this library that the process has loaded. All copies share the set. */
const copies = ((globalThis as { [KEY]?: Set<string> })[KEY] ??= new Set());
copies.add(resolve(__dirname, '../..'));

/**
 * Says where the copies of this library are, if the process has loaded several. Classes of one copy mean nothing to the
 * other: neither its module nor its decorators work together with those of this one.
 */
export function severalCopies(): string | undefined {
  if (copies.size < 2) {
    return undefined;
  }
  const places = [...copies].map((folder) => `${folder} (${versionOf(folder)})`).join(' and ');
  return `The process has loaded several copies of nestjs-medplum, which do not work together: ${places}. Keep one: npm ls nestjs-medplum shows which packages bring them.`;
}

function versionOf(folder: string): string {
  try {
    return String((JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: unknown }).version);
  } catch {
    return 'unknown version';
  }
}

const several = severalCopies();
if (several !== undefined) {
  // What fails next may be an injection of Nest, which knows nothing of copies.
  process.emitWarning(several, { code: 'NESTJS_MEDPLUM_COPIES' });
}
