import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Set by the Jest configuration: the Nest that this run is for. */
declare const NEST_MAJOR: number;

const ROOT = resolve(__dirname, '../..');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly devDependencies: Readonly<Record<string, string>>;
};

/** What must come from one place: two copies of a Nest package give two copies of its tokens. */
const packages = Object.keys(manifest.devDependencies).filter(
  (name) =>
    (name.startsWith('@nestjs/') && name !== '@nestjs/cli') ||
    ['nestjs-cls', 'rxjs', 'reflect-metadata'].includes(name),
);

describe(`the run on Nest ${NEST_MAJOR}`, () => {
  it('is on that Nest', () => {
    const { version } = require('@nestjs/core/package.json') as { version: string };
    expect(version).toMatch(new RegExp(`^${NEST_MAJOR}\\.`));
  });

  it.each(packages)('takes %s from its own folder', (name) => {
    const modules = join(ROOT, NEST_MAJOR === 11 ? 'compat/nest11/node_modules' : 'node_modules');
    expect(require.resolve(name)).toMatch(new RegExp(`^${join(modules, name)}/`));
  });
});
