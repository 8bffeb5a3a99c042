import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The major version of Nest that this run tests. The Jest configuration sets it. */
declare const NEST_MAJOR: number;

const ROOT = resolve(__dirname, '../..');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly devDependencies: Readonly<Record<string, string>>;
};

/** Packages that must come from one folder, because two copies of a Nest package have different tokens. */
const packages = Object.keys(manifest.devDependencies).filter(
  (name) =>
    (name.startsWith('@nestjs/') && name !== '@nestjs/cli') ||
    ['nestjs-cls', 'rxjs', 'reflect-metadata'].includes(name),
);

describe(`the run on Nest ${NEST_MAJOR}`, () => {
  it('loads that version', () => {
    const { version } = require('@nestjs/core/package.json') as { version: string };
    expect(version).toMatch(new RegExp(`^${NEST_MAJOR}\\.`));
  });

  it.each(packages)('loads %s from its own folder', (name) => {
    const modules = join(ROOT, NEST_MAJOR === 11 ? 'compat/nest11/node_modules' : 'node_modules');
    expect(require.resolve(name)).toMatch(new RegExp(`^${join(modules, name)}/`));
  });
});
