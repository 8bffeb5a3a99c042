const base = require('./jest.config.cjs');

const at = '<rootDir>/compat/nest11/node_modules';

/** The same tests on Nest 11: every import of Nest, nestjs-cls and rxjs goes to compat/nest11. */
module.exports = {
  ...base,
  globals: { NEST_MAJOR: 11 },
  moduleNameMapper: {
    ...base.moduleNameMapper,
    '^(@nestjs/[^/]+)(/.*)?$': `${at}/$1$2`,
    '^(nestjs-cls|rxjs|reflect-metadata)(/.*)?$': `${at}/$1$2`,
  },
  // These read sources and lock files: no Nest runs in them.
  testPathIgnorePatterns: ['/node_modules/', '/test/packaging/(lock-files|public-api|rooms)\\.spec\\.ts$'],
};
