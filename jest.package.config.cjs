const base = require('./jest.config.cjs');

/** The packed tarball in apps of its consumers; apart from the suite because it needs a build and installs packages. */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test/packaging'],
  testMatch: ['**/*.package-spec.ts'],
  transform: base.transform,
};
