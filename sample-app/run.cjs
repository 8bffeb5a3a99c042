/**
 * Runs a TypeScript program of the sample app without a build: `node sample-app/run.cjs main.ts`. swc compiles each file
 * when it is loaded, which takes seconds where the compiler takes a minute. It checks no types; `npm run typecheck` does.
 */
const { performance } = require('node:perf_hooks');

/** The program as you would name it. */
const PROGRAMS = { 'main.ts': 'the clinic', 'tour.ts': 'the tour' };

const [, , program = 'main.ts'] = process.argv;
const what = PROGRAMS[program];
if (what === undefined) {
  console.error(`There is no program "${program}" to run. Use one of: ${Object.keys(PROGRAMS).join(', ')}.`);
  process.exit(2);
}
// The first line comes before anything is loaded, so that nobody looks at an empty terminal.
console.log(`Compiling the library and ${what} (swc, in memory) …`);

const path = require('node:path');
const { registerTypescript } = require('../register-typescript.cjs');

let compiled = 0;
registerTypescript(() => compiled++);
require(path.join(__dirname, program));
console.log(`Compiled ${compiled} files in ${(performance.now() / 1000).toFixed(1)} s. Starting ${what} …`);
