// oxlint-disable no-underscore-dangle -- these are the names in Node's module loader
/** Lets Node load the TypeScript of this repository without a build. swc compiles it and checks no types. */
const { readFileSync } = require('node:fs');
const Module = require('node:module');
const path = require('node:path');

/** How swc compiles this repository, for Jest as well. */
const SWC_OPTIONS = {
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
};

/**
 * From now on, `require` compiles each `.ts` file when it loads it, and finds `nestjs-medplum` and its subpaths in `lib/`.
 *
 * @param onCompile called for each file that was compiled.
 */
function registerTypescript(onCompile = () => undefined) {
  const { transformSync } = require('@swc/core');
  const { exports: entries } = require('./package.json');
  const find = Module._resolveFilename;
  Module._resolveFilename = function (request, ...rest) {
    const entry = /^nestjs-medplum(\/.*)?$/.exec(request) && entries[request.replace('nestjs-medplum', '.')]?.default;
    return entry
      ? path.join(__dirname, entry.replace('./dist/', 'lib/').replace(/\.js$/, '.ts'))
      : find.call(this, request, ...rest);
  };
  Module._extensions['.ts'] = (module, filename) => {
    const { code } = transformSync(readFileSync(filename, 'utf8'), { filename, ...SWC_OPTIONS });
    module._compile(code, filename);
    onCompile();
  };
  process.setSourceMapsEnabled(true);
}

module.exports = { SWC_OPTIONS, registerTypescript };
