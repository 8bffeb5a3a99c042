import { readFileSync } from 'node:fs';
import { JsonObject } from '../json-object';

/** A string, a comment, or a comma before a closing bracket. */
const TOKENS = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\/|,(?=(?:\s|\/\/[^\n]*\n|\/\*[\s\S]*?\*\/)*[}\]])/g;

/** Reads a JSON file with comments and trailing commas, such as `tsconfig.json`; `undefined` if it cannot be read. */
export function readJsonc(file: string): JsonObject | undefined {
  try {
    const text = readFileSync(file, 'utf8').replace(/^\uFEFF/, '');
    return new JsonObject(JSON.parse(text.replaceAll(TOKENS, (token) => (token.startsWith('"') ? token : ' '))));
  } catch {
    return undefined;
  }
}
