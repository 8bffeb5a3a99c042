import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WrongUsage } from '../../cli-command';
import type { JsonObject } from '../json-object';
import { findPackage, type InstalledPackage, readPackage } from './installed-package';

/** Name of this package. */
export const LIBRARY = 'nestjs-medplum';

const DEPENDENCIES = ['dependencies', 'devDependencies', 'peerDependencies', 'optionalDependencies'];

/** The app that is checked. */
export interface AppContext {
  /** Absolute path. */
  readonly folder: string;
  readonly manifest: JsonObject;
  /** The library as the app finds it; `undefined` if it is not installed. */
  readonly library: InstalledPackage | undefined;
  /** Whether packages are in an archive of Yarn, where doctor cannot look. */
  readonly plugAndPlay: boolean;
}

/**
 * The app in a folder.
 *
 * @param named whether the person named the folder. Otherwise a folder without such an app is fine.
 * @throws WrongUsage when the person named a folder without a package.json.
 */
export function openApp(folder: string, named: boolean): AppContext | undefined {
  const app = readPackage(folder);
  if (!app) {
    if (named) {
      throw new WrongUsage('--app: there is no readable package.json in the folder; name the folder of your app');
    }
    return undefined;
  }
  if (!named && !dependenciesOf(app.manifest).has(LIBRARY)) {
    return undefined;
  }
  return {
    folder: app.folder,
    manifest: app.manifest,
    library: findPackage(app.folder, LIBRARY),
    plugAndPlay: existsSync(join(app.folder, '.pnp.cjs')),
  };
}

/** The names of all packages that a manifest depends on. */
export function dependenciesOf(manifest: JsonObject): ReadonlySet<string> {
  return new Set(DEPENDENCIES.flatMap((kind) => manifest.object(kind).keys));
}

/** Why the packages of an app cannot be looked at. */
export function noPackages({ plugAndPlay }: AppContext): string | undefined {
  return plugAndPlay ? "the packages are in Yarn's Plug'n'Play archive, where doctor cannot look" : undefined;
}
