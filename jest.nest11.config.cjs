const base = require('./jest.config.cjs');

const at = '<rootDir>/compat/nest11/node_modules';

/** Runs the same tests on Nest 11: imports of Nest, nestjs-cls, rxjs and reflect-metadata resolve to compat/nest11. */
module.exports = {
  ...base,
  globals: { NEST_MAJOR: 11 },
  moduleNameMapper: {
    ...base.moduleNameMapper,
    '^(@nestjs/[^/]+)(/.*)?$': `${at}/$1$2`,
    '^(nestjs-cls|rxjs|reflect-metadata)(/.*)?$': `${at}/$1$2`,
  },
  // These tests only read sources and lock files. They do not run Nest.
  testPathIgnorePatterns: [
    '/node_modules/',
    '/test/docs/',
    '/test/packaging/(lock-files|public-api|rooms)\\.spec\\.ts$',
  ],
};
