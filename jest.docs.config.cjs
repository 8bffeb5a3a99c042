const base = require('./jest.config.cjs');

/** Compiles and runs the code of README.md and docs/. It is separate from the other tests because it needs a build. */
module.exports = { ...base, roots: ['<rootDir>/test/docs'], testMatch: ['**/*.docs-spec.ts'] };
