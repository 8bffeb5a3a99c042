import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { declareFactoryPlugin, PluginKind } from '@stryker-mutator/api/plugin';
import { strykerPlugins as jestPlugins } from '@stryker-mutator/jest-runner';

const [jestPlugin] = jestPlugins;
/** Written by the dry run in the sandbox, which all processes of a run share: the spec files of each test. */
const TESTS_FILE = 'mutants-tests.json';

/**
 * Stryker's Jest runner loads every spec that imports a mutated file, which here are nearly all of them, and picks the
 * tests by their names. This one runs only spec files with a test that reaches the mutant, one after the other, and
 * stops at the first that fails.
 */
class ByFileRunner {
  #jest;
  #config;
  #filesOf;
  /** How many mutants of a source file each spec has found, so far and in this process. */
  #found = new Map();

  constructor(jest) {
    this.#jest = jest;
  }

  capabilities() {
    return this.#jest.capabilities();
  }

  async init() {
    await this.#jest.init();
    this.#config = this.#jest.jestConfig;
  }

  async dryRun(options) {
    const result = await this.#jest.dryRun(options);
    const filesOf = {};
    for (const { id, fileName, timeSpentMs } of result.tests ?? []) {
      (filesOf[id] ??= []).push([fileName, timeSpentMs]);
    }
    writeFileSync(TESTS_FILE, JSON.stringify(filesOf));
    forgetHooks(result.mutantCoverage);
    return result;
  }

  async mutantRun(options) {
    let last;
    let ran = 0;
    for (const [file, tests] of this.#byFile(options)) {
      this.#jest.jestConfig = { ...this.#config, testMatch: [file] };
      last = await this.#jest.mutantRun({ ...options, testFilter: options.testFilter && tests });
      ran += last.nrOfTests ?? 0;
      if (last.status !== 'survived') {
        const found = this.#foundBy(options.sandboxFileName);
        found.set(file, (found.get(file) ?? 0) + 1);
        return last;
      }
    }
    return last ? { ...last, nrOfTests: ran } : { status: 'survived', nrOfTests: 0 };
  }

  #foundBy(sourceFile) {
    const found = this.#found.get(sourceFile) ?? new Map();
    this.#found.set(sourceFile, found);
    return found;
  }

  /** The spec files and their tests: first those that have found most mutants of the file, then the quickest. */
  #byFile({ testFilter, sandboxFileName }) {
    this.#filesOf ??= existsSync(TESTS_FILE) ? JSON.parse(readFileSync(TESTS_FILE, 'utf8')) : {};
    const tests = new Map();
    const cost = new Map();
    for (const id of testFilter ?? Object.keys(this.#filesOf)) {
      for (const [file, ms] of this.#filesOf[id] ?? []) {
        tests.set(file, [...(tests.get(file) ?? []), id]);
        cost.set(file, (cost.get(file) ?? 0) + ms);
      }
    }
    const found = this.#foundBy(sandboxFileName);
    const own = path.basename(sandboxFileName, '.ts');
    const finds = (file) => found.get(file) ?? (path.basename(file) === `${own}.spec.ts` ? 1 : 0);
    return [...tests].toSorted(([a], [b]) => finds(b) - finds(a) || cost.get(a) - cost.get(b));
  }
}

/**
 * Stryker takes code that also runs outside of a test, as in `beforeAll`, for code that runs when a file loads, and tries
 * every test for it. The tests that reach it are enough.
 */
function forgetHooks({ static: loaded, perTest } = { static: {}, perTest: {} }) {
  for (const reached of Object.values(perTest)) {
    for (const mutant of Object.keys(reached)) {
      delete loaded[mutant];
    }
  }
}

function byFileRunnerFactory(injector) {
  return new ByFileRunner(jestPlugin.factory(injector));
}
byFileRunnerFactory.inject = jestPlugin.factory.inject;

export const strykerPlugins = [declareFactoryPlugin(PluginKind.TestRunner, 'jest-by-file', byFileRunnerFactory)];
export { strykerValidationSchema } from '@stryker-mutator/jest-runner';
