const base = require('./jest.config.cjs');

/** Tests the packed tarball in small apps. It is separate from the other tests because it needs a build and installs packages. */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test/packaging'],
  testMatch: ['**/*.package-spec.ts'],
  transform: base.transform,
};
