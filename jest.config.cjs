const { SWC_OPTIONS } = require('./register-typescript.cjs');

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: '<rootDir>/test/jest/process-realm.environment.cjs',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.spec.ts', '**/*.e2e-spec.ts'],
  globals: { NEST_MAJOR: 12 },
  // In ms. Long enough for a busy machine: no test takes that long unless it hangs.
  testTimeout: 20_000,
  // By default Jest leaves one core idle, which is half of a small machine.
  maxWorkers: '100%',
  moduleNameMapper: {
    '^nestjs-medplum$': '<rootDir>/lib/index.ts',
    '^nestjs-medplum/fhirtypes$': '<rootDir>/lib/fhir/fhirtypes.ts',
    '^nestjs-medplum/testing$': '<rootDir>/lib/testing/index.ts',
    '^nestjs-medplum/(delegation|opentelemetry|redis|terminus|webhooks)$': '<rootDir>/lib/integrations/$1/index.ts',
  },
  collectCoverageFrom: ['lib/**/*.ts'],
  coverageProvider: 'v8',
  coverageThreshold: { global: { statements: 90, branches: 80, functions: 90, lines: 90 } },
  transform: {
    '/node_modules/.+\\.[cm]?js$': '<rootDir>/test/jest/native-packages.transformer.cjs',
    '^.+\\.(ts|js|mjs)$': ['@swc/jest', SWC_OPTIONS],
  },
  // Jest loads its own parts with these transforms, too.
  transformIgnorePatterns: ['/node_modules/(@jest/|jest-)'],
};
