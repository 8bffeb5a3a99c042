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

const { readFileSync } = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { transformSync } = require('@swc/core');

const ROOT = path.resolve(__dirname, '..');
const { exports: entries } = require('../package.json');

// oxlint-disable no-underscore-dangle -- these are the names in Node's module loader
const find = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  const entry = /^nestjs-medplum(\/.*)?$/.exec(request) && entries[request.replace('nestjs-medplum', '.')];
  return entry
    ? path.join(ROOT, entry.default.replace('./dist/', 'lib/').replace(/\.js$/, '.ts'))
    : find.call(this, request, ...rest);
};
let compiled = 0;
Module._extensions['.ts'] = (module, filename) => {
  compiled++;
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    filename,
    swcrc: false,
    sourceMaps: 'inline',
    module: { type: 'commonjs' },
    jsc: {
      target: 'es2023',
      keepClassNames: true,
      parser: { syntax: 'typescript', decorators: true },
      // Nest injects by the types that the metadata of decorators name.
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
    },
  });
  module._compile(code, filename);
};
process.setSourceMapsEnabled(true);
require(path.join(__dirname, program));
console.log(`Compiled ${compiled} files in ${(performance.now() / 1000).toFixed(1)} s. Starting ${what} …`);
