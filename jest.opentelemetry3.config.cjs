const base = require('./jest.config.cjs');

/** The tests of the integration on OpenTelemetry 3: every import of OpenTelemetry goes to compat/opentelemetry3. */
module.exports = {
  ...base,
  testMatch: ['**/test/integrations/opentelemetry*.spec.ts', '**/test/hygiene/telemetry.spec.ts'],
  globals: { ...base.globals, OPENTELEMETRY_MAJOR: 3 },
  moduleNameMapper: {
    ...base.moduleNameMapper,
    '^(@opentelemetry/[^/]+)(/.*)?$': '<rootDir>/compat/opentelemetry3/node_modules/$1$2',
  },
};
