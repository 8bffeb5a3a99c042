import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { JsonObject } from '../json-object';

/** A package on disk. */
export interface InstalledPackage {
  /** Its real folder: package managers link. */
  readonly folder: string;
  readonly manifest: JsonObject;
}

/** Finds a package as Node does: in `node_modules` of `folder`, and of the folders above it. */
export function findPackage(folder: string, name: string): InstalledPackage | undefined {
  for (const modules of nodeModulesAbove(folder)) {
    const found = readPackage(join(modules, name));
    if (found) {
      return found;
    }
  }
  return undefined;
}

/** The `node_modules` folders in which Node looks for packages, nearest first. */
export function nodeModulesAbove(folder: string): string[] {
  const found: string[] = [];
  for (let here = folder; ; here = dirname(here)) {
    const modules = join(here, 'node_modules');
    if (!here.endsWith('node_modules') && existsSync(modules)) {
      found.push(modules);
    }
    if (dirname(here) === here) {
      return found;
    }
  }
}

/** The package in a folder; `undefined` if there is none. */
export function readPackage(folder: string): InstalledPackage | undefined {
  try {
    const real = realpathSync(folder);
    return { folder: real, manifest: JsonObject.parse(readFileSync(join(real, 'package.json'), 'utf8')) };
  } catch {
    return undefined;
  }
}

/** The version of a package, for a report. */
export function shownVersion({ manifest }: InstalledPackage): string {
  return /^\d[\w.+-]{0,40}$/.exec(manifest.text('version') ?? '')?.[0] ?? 'without a version';
}
