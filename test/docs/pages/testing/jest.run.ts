/** Runs the tests of the page with Jest, in the way that the recipe for this major version of Nest names. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const folder = join(process.cwd(), 'testing');
const isModule = typeof require === 'undefined';
const manifest = createRequire(join(folder, 'here.js')).resolve('jest/package.json');
const jest = join(dirname(manifest), 'bin/jest.js');
const config = { rootDir: folder, testEnvironment: 'node', testMatch: ['**/*.spec.js'], transform: {} };
const { status, stderr } = spawnSync(process.execPath, [jest, '--config', JSON.stringify(config), '--runInBand'], {
  cwd: folder,
  encoding: 'utf8',
  env: { ...process.env, ...(isModule && { NODE_OPTIONS: '--experimental-vm-modules' }) },
});
if (status !== 0) {
  console.error(stderr);
}
process.exitCode = status ?? 1;
