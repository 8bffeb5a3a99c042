const ProcessRealmEnvironment = require('../jest/process-realm.environment.cjs');

/** Skips the rest of a spec once a test of it has failed: the mutant is found, and further tests may hang over it. */
module.exports = class FirstFailureEnvironment extends ProcessRealmEnvironment {
  #hasFailed = false;

  handleTestEvent(event, state) {
    if (event.name === 'test_start' && this.#hasFailed) {
      event.test.mode = 'skip';
    }
    this.#hasFailed ||= event.name === 'test_done' && event.test.errors.length > 0;
    return super.handleTestEvent(event, state);
  }
};
