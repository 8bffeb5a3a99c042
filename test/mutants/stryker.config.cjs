const { readFileSync } = require('node:fs');

const { MUTANT_CONFIG } = process.env;

/**
 * Mutation testing, see test/mutants.md. Start it with `npm run test:mutants`, which adds the files and the reports.
 *
 * @type {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
module.exports = {
  plugins: ['./test/mutants/jest-runner.mjs', './test/mutants/ignore-messages.mjs'],
  testRunner: 'jest-by-file',
  jest: { configFile: 'test/mutants/jest.config.cjs', enableFindRelatedTests: false },
  coverageAnalysis: 'perTest',
  ignorers: ['messages'],
  ignorePatterns: ['/bench', '/compat', '/docs', '/reports', '/site', '/temp', '/dist*', '/coverage'],
  // Swc strips types without checking them.
  disableTypeChecks: false,
  concurrency: 2,
  // In ms: how much longer than without the mutant its tests may take, besides the factor.
  timeoutMS: 25_000,
  timeoutFactor: 2,
  dryRunTimeoutMinutes: 10,
  // The test files of a process share its realm, and with it its memory.
  maxTestRunnerReuse: 100,
  reporters: ['clear-text', 'html', 'json', 'progress-append-only'],
  clearTextReporter: { allowColor: false, allowEmojis: false, reportTests: false },
  warnings: { slow: false },
  tempDirName: 'temp/mutants',
  ...(MUTANT_CONFIG && JSON.parse(readFileSync(MUTANT_CONFIG, 'utf8'))),
};
