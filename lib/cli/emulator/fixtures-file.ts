import { readFileSync } from 'node:fs';
import type { EmulatorFixtures } from '../../testing/fixtures.types';
import { errorCode } from './error-code';

/**
 * Reads fixtures. The emulator itself checks them.
 *
 * @throws Error if the file cannot be read or is not JSON. It says where the mistake is, and shows nothing of the file.
 */
export function readFixtures(file: string): EmulatorFixtures {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
  } catch (error) {
    throw new Error(
      `--fixtures: cannot read the file ${file} (${errorCode(error)}); check that it exists and that you may read it`,
      { cause: error },
    );
  }
  try {
    return JSON.parse(text) as EmulatorFixtures;
  } catch (error) {
    throw new Error(`--fixtures: ${file} is not JSON${place(text, error)}${advice(text)}`, { cause: error });
  }
}

/** Not every release of Node says where the mistake is. The rest of its message shows a part of the file. */
function place(text: string, error: unknown): string {
  const [, position] = /position (\d+)/.exec(error instanceof Error ? error.message : '') ?? [];
  if (position === undefined) {
    return '';
  }
  const lines = text.slice(0, Number(position)).split('\n');
  return ` (line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1})`;
}

function advice(text: string): string {
  return /(?:^|[{[,])\s*\/[/*]/m.test(text)
    ? ', which has no comments; write a member "//" instead, as --example does'
    : '; correct its syntax';
}
