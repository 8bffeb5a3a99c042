import { type Check, type Finding, ok, problem, warning } from '../check';
import { type AppContext, LIBRARY, noPackages } from './app-context';
import { findPackage, type InstalledPackage, shownVersion } from './installed-package';
import { inRange } from './version-range';

/** Whether the peers of the library are installed, in versions that it works with. */
export const peersCheck: Check<AppContext> = {
  name: 'peers',
  skip: (app) => noPackages(app) ?? (app.library ? undefined : `${LIBRARY} is not installed`),
  run({ folder, library }) {
    if (!library) {
      return [];
    }
    const ranges = library.manifest.object('peerDependencies');
    const meta = library.manifest.object('peerDependenciesMeta');
    const findings = ranges.keys.flatMap((name) => {
      const isOptional = meta.object(name).get('optional') === true;
      // A library that is linked into the app does not find the peers of the app from its own folder.
      const installed = findPackage(library.folder, name) ?? findPackage(folder, name);
      return judged(name, ranges.text(name) ?? '*', installed, isOptional);
    });
    return findings.length > 0
      ? findings
      : [ok(`The peers of ${LIBRARY} ${shownVersion(library)} are installed, in versions that it works with.`)];
  },
};

function judged(name: string, range: string, installed: InstalledPackage | undefined, isOptional: boolean): Finding[] {
  if (!installed) {
    const why = `${LIBRARY} does not load without it.`;
    return isOptional ? [] : [problem(`${name} is not installed.`, why, `Run npm install ${name}@"${range}".`)];
  }
  const version = shownVersion(installed);
  if (inRange(version, range) !== false) {
    return [];
  }
  const what = `${name} ${version} is installed, but ${LIBRARY} works with ${range}.`;
  const fix = `Run npm install ${name}@"${range}".`;
  return [
    isOptional
      ? warning(what, 'The part of the library that uses it may not work.', fix)
      : problem(what, 'The app may not start, or fail later.', fix),
  ];
}
