/** Runs the tests of the page with Jest, on Nest 12 with the configuration of the recipe. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { config as recipe } from '../recipes-jest-and-vitest/jest.config.js';

const folder = join(process.cwd(), 'testing');
const isModule = typeof require === 'undefined';
const manifest = createRequire(join(folder, 'here.js')).resolve('jest/package.json');
const jest = join(dirname(manifest), 'bin/jest.js');
// The tests are compiled already, so imports of './file.js' mean just that.
const { moduleNameMapper: _, ...nest12 } = recipe;
const config = {
  ...(isModule ? nest12 : { testEnvironment: 'node', transform: {} }),
  rootDir: folder,
  testMatch: ['**/*.spec.js'],
};
const { status, stderr } = spawnSync(process.execPath, [jest, '--config', JSON.stringify(config), '--runInBand'], {
  cwd: folder,
  encoding: 'utf8',
});
if (status !== 0) {
  console.error(stderr);
}
process.exitCode = status ?? 1;
