const { AsyncLocalStorage } = require('node:async_hooks');
const { createRequire } = require('node:module');
const path = require('node:path');
const vm = require('node:vm');
const { TestEnvironment } = require('jest-environment-node');

/** Stands for the realm of the process, which is no context that `vm` could be given. */
const PROCESS_REALM = Object.freeze({});

const compileFunction = vm.compileFunction.bind(vm);
vm.compileFunction = (code, parameters, options) =>
  compileFunction(
    code,
    parameters,
    options?.parsingContext === PROCESS_REALM ? { ...options, parsingContext: undefined } : options,
  );

/** The storages that something ran in. Before Node 24 each of them makes every promise of the process dearer, for good. */
const storages = new Set();
for (const name of ['run', 'enterWith']) {
  const method = AsyncLocalStorage.prototype[name];
  AsyncLocalStorage.prototype[name] = function (...args) {
    storages.add(this);
    return Reflect.apply(method, this, args);
  };
}

/** Remembers the properties of an object. The function that it returns puts them back. */
function remember(target) {
  const before = Object.getOwnPropertyDescriptors(target);
  return () => {
    for (const key of Reflect.ownKeys(target)) {
      if (!Object.hasOwn(before, key) && Object.getOwnPropertyDescriptor(target, key).configurable) {
        delete target[key];
      }
    }
    for (const key of Reflect.ownKeys(before)) {
      if (before[key].configurable) {
        Object.defineProperty(target, key, before[key]);
      }
    }
  };
}

/**
 * Runs the test files in the realm of the process, as the library runs in an app, instead of in a realm of their own. So
 * the packages of node_modules load once in a process (native-packages.transformer.cjs), not once in each test file,
 * while library, sample app and tests still load anew for each. A file leaves globals, `process` and its environment as
 * it found them.
 */
module.exports = class ProcessRealmEnvironment extends TestEnvironment {
  #putBack = [globalThis, process, process.env].map(remember);
  #testPath;
  #hasFailed = false;

  constructor(config, context) {
    super(config, context);
    this.#testPath = path.relative(config.projectConfig.rootDir, context.testPath);
    // @medplum/core reads the global WebSocket when it loads, and Node 20 has none.
    globalThis.WebSocket ??= require('undici').WebSocket;
    const { projectConfig } = config;
    const { fakeTimersModern, moduleMocker } = this;
    this.global = globalThis;
    this.moduleMocker = new moduleMocker.constructor(globalThis);
    this.fakeTimersModern = new fakeTimersModern.constructor({ config: projectConfig, global: globalThis });
    this.fakeTimers = null; // The legacy ones
    Object.assign(globalThis, projectConfig.globals, {
      // From inside the package: Node warns of ES modules that are required from elsewhere.
      requireNatively: (file) => createRequire(file)(file),
    });
  }

  getVmContext() {
    return super.getVmContext() && PROCESS_REALM;
  }

  handleTestEvent({ name, test }) {
    this.#hasFailed ||= name === 'test_done' && test.errors.length > 0;
  }

  async teardown() {
    await super.teardown();
    if (this.#hasFailed && process.env.TEST_SEED) {
      process.stderr.write(
        `The random numbers of ${this.#testPath} come again with TEST_SEED=${process.env.TEST_SEED}\n`,
      );
    }
    this.#putBack.forEach((putBack) => putBack());
    storages.forEach((storage) => storage.disable());
    storages.clear();
  }
};
