/** Packages of node_modules that ship ES modules only: Jest below Node 24.9 cannot require() them. */
const esmOnly = ['@nestjs', 'file-type', 'load-esm', 'strtok3', 'token-types', 'uint8array-extras'];

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.spec.ts', '**/*.e2e-spec.ts'],
  globals: { NEST_MAJOR: 12 },
  // For machines that do other things as well: nothing here waits that long unless it hangs.
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
