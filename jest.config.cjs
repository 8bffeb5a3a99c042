/** Packages that ship only ES modules. Jest cannot require() them below Node 24.9, so it transforms them. */
const esmOnly = ['@nestjs', 'file-type', 'load-esm', 'strtok3', 'token-types', 'uint8array-extras'];

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.spec.ts', '**/*.e2e-spec.ts'],
  globals: { NEST_MAJOR: 12 },
  // In ms. Long enough for a busy machine: no test takes that long unless it hangs.
  testTimeout: 20_000,
  setupFiles: ['<rootDir>/jest.setup.cjs'],
  moduleNameMapper: {
    '^nestjs-medplum$': '<rootDir>/lib/index.ts',
    '^nestjs-medplum/testing$': '<rootDir>/lib/testing/index.ts',
    '^nestjs-medplum/(opentelemetry|terminus)$': '<rootDir>/lib/integrations/$1/index.ts',
  },
  collectCoverageFrom: ['lib/**/*.ts'],
  coverageProvider: 'v8',
  coverageThreshold: { global: { statements: 90, branches: 80, functions: 90, lines: 90 } },
  transform: {
    '^.+\\.(ts|js|mjs)$': [
      '@swc/jest',
      {
        swcrc: false,
        sourceMaps: 'inline',
        module: { type: 'commonjs' },
        jsc: {
          target: 'es2023',
          keepClassNames: true,
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
        },
      },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${esmOnly.join('|')})/)`],
};
