/** Lets a child process of a test run TypeScript of this repository: `node run-typescript.cjs program.ts …`. */
const path = require('node:path');
const { registerTypescript } = require('../../register-typescript.cjs');

registerTypescript();
require(path.resolve(process.argv[2]));
