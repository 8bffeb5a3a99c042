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
    const position = /position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
    throw new Error(`--fixtures: ${file} is not JSON${describe(text, position && Number(position))}`, { cause: error });
  }
}

function describe(text: string, position: number | '' | undefined): string {
  if (typeof position !== 'number') {
    return '; correct its syntax';
  }
  const lines = text.slice(0, position).split('\n');
  const where = ` (line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1})`;
  return /^\/[/*]/.test(text.slice(position))
    ? `${where}, because JSON has no comments; write a member "//" instead, as --example does`
    : `${where}; correct its syntax there`;
}
