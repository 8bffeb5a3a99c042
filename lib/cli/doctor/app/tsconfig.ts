import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { JsonObject } from '../json-object';
import { nodeModulesAbove } from './installed-package';
import { readJsonc } from './jsonc';

/** Reads `compilerOptions` of a tsconfig, with those of the files that it extends; `undefined` if one cannot be read. */
export function readCompilerOptions(file: string, open: readonly string[] = []): JsonObject | undefined {
  const config = open.includes(file) ? undefined : readJsonc(file);
  if (!config) {
    return undefined;
  }
  let options = {};
  for (const parent of [config.get('extends') ?? []].flat()) {
    const found = typeof parent === 'string' ? extended(dirname(file), parent) : undefined;
    const inherited = found === undefined ? undefined : readCompilerOptions(found, [...open, file]);
    if (!inherited) {
      return undefined;
    }
    // Of several parents, the later one wins.
    options = { ...options, ...inherited.value };
  }
  return new JsonObject({ ...options, ...config.object('compilerOptions').value });
}

/** The file that `extends` means: a path, or a file in a package. */
function extended(folder: string, name: string): string | undefined {
  const places =
    name.startsWith('.') || name.startsWith('/')
      ? [resolve(folder, name)]
      : nodeModulesAbove(folder).map((modules) => join(modules, name));
  return places.flatMap((place) => [place, `${place}.json`, join(place, 'tsconfig.json')]).find(isFile);
}

function isFile(file: string): boolean {
  return existsSync(file) && statSync(file).isFile();
}
