// oxlint-disable no-underscore-dangle -- these are the names in Node's module loader
/** Lets a child process of a test run TypeScript of this repository: `node run-typescript.cjs program.ts …`. */
const { readFileSync } = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { transformSync } = require('@swc/core');

const LIB = path.resolve(__dirname, '../../lib');
const find = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  return request === 'nestjs-medplum' ? path.join(LIB, 'index.ts') : find.call(this, request, ...rest);
};
Module._extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    filename,
    swcrc: false,
    module: { type: 'commonjs' },
    jsc: {
      target: 'es2023',
      keepClassNames: true,
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
    },
  });
  module._compile(code, filename);
};
require(path.resolve(process.argv[2]));
