import { readdirSync, realpathSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { type Check, type Finding, ok, problem, warning } from '../check';
import { type AppContext, dependenciesOf, LIBRARY, noPackages } from './app-context';
import { type InstalledPackage, nodeModulesAbove, readPackage, shownVersion } from './installed-package';

/** Packages that an app must load once, and what happens otherwise. */
const SINGLE: Readonly<Record<string, string>> = {
  [LIBRARY]:
    'Each copy has classes, tokens and scopes of its own: Nest cannot inject MedplumService, instanceof fails, and a scope of one copy does not exist for the other.',
  'nestjs-cls':
    'Each copy has stores of its own: what one copy keeps for a request does not exist for the other, and Nest cannot inject ClsService of the other copy.',
  '@nestjs/common':
    'Nest compares classes such as Reflector and HttpException by identity, and those of two copies differ.',
  '@nestjs/core': 'Nest cannot inject Reflector and ModuleRef of the other copy: the app does not start.',
};

/** Whether packages that keep state or identity are there exactly once. */
export const copiesCheck: Check<AppContext> = {
  name: 'copies',
  skip: noPackages,
  run(app) {
    const copies = findCopies(app, new Set(Object.keys(SINGLE)));
    if (!copies.has(LIBRARY)) {
      const why = 'The app does not start without it.';
      return [problem(`${LIBRARY} is not installed.`, why, 'Run npm install in the folder of the app.')];
    }
    const findings = Object.entries(SINGLE).flatMap(([name, why]) => judged(app, name, why, copies.get(name) ?? []));
    return findings.length > 0
      ? findings
      : [ok(`There is one copy each of ${[...copies.keys()].toSorted().join(', ')}.`)];
  },
};

function judged(app: AppContext, name: string, why: string, copies: readonly InstalledPackage[]): Finding[] {
  if (copies.length < 2) {
    return [];
  }
  const places = copies.map((copy) => `${relative(app.folder, copy.folder) || '.'} (${shownVersion(copy)})`);
  const what = `There are ${copies.length} copies of ${name}: ${places.join(', ')}.`;
  const fix = `Run npm ls ${name} to see who asks for which version, bring the ranges together, and run npm dedupe. In a monorepo, install it once at the root.`;
  // A copy of Nest for a tool, such as a CLI, harms nobody.
  return [name.startsWith('@nestjs/') ? warning(what, why, fix) : problem(what, why, fix)];
}

/** All copies of the packages that the app can reach. */
function findCopies(app: AppContext, names: ReadonlySet<string>): Map<string, InstalledPackage[]> {
  const copies = new Map<string, InstalledPackage[]>();
  const dependencies = dependenciesOf(app.manifest);
  const seen = new Set<string>();
  const waiting = nodeModulesAbove(app.folder);
  for (let modules = waiting.pop(); modules !== undefined; modules = waiting.pop()) {
    if (seen.has(modules)) {
      continue;
    }
    seen.add(modules);
    for (const name of packagesIn(modules)) {
      const folder = realFolder(join(modules, name));
      const isLinked = folder !== undefined && !folder.includes(`${sep}node_modules${sep}`);
      // A workspace beside this one concerns the app only if the app depends on it.
      if (folder === undefined || (isLinked && (folder === app.folder || !dependencies.has(name)))) {
        continue;
      }
      if (names.has(name)) {
        note(copies, name, folder);
      }
      // pnpm puts what a package depends on beside its real folder.
      waiting.push(join(folder, 'node_modules'), ...(isLinked ? [] : [enclosing(folder)]));
    }
  }
  return copies;
}

function note(copies: Map<string, InstalledPackage[]>, name: string, folder: string): void {
  const known = copies.get(name) ?? [];
  const copy = readPackage(folder);
  if (copy && !known.some((one) => one.folder === copy.folder)) {
    copies.set(name, [...known, copy]);
  }
}

/** Names of the packages in a `node_modules` folder; none if there is no such folder. */
function packagesIn(modules: string): string[] {
  return namesIn(modules).flatMap((name) =>
    name.startsWith('@') ? namesIn(join(modules, name)).map((inner) => `${name}/${inner}`) : [name],
  );
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
}

function realFolder(folder: string): string | undefined {
  try {
    return realpathSync(folder);
  } catch {
    return undefined;
  }
}

/** The `node_modules` folder that a package is in. */
function enclosing(folder: string): string {
  const parent = dirname(folder);
  return parent.endsWith(`${sep}node_modules`) ? parent : dirname(parent);
}
