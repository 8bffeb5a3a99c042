const path = require('node:path');
const base = require('../../jest.config.cjs');
const { ROOMS } = require('./rooms.cjs');

/**
 * The specs that have to find the faults which Stryker plants in the rooms of `MUTANT_ROOMS`. Stryker reads this file
 * itself, so paths are absolute: `<rootDir>` means nothing to it.
 */
const rootDir = path.resolve(__dirname, '../..');
const rooms = process.env.MUTANT_ROOMS?.split(',') ?? Object.keys(ROOMS);

module.exports = {
  ...base,
  rootDir,
  watchman: false,
  testEnvironment: path.join(__dirname, 'environment.cjs'),
  // Jest loads Stryker's environment, which wraps ours, before ours is there.
  transformIgnorePatterns: [...base.transformIgnorePatterns, '/node_modules/@stryker-mutator/'],
  testMatch: [...new Set(rooms.flatMap((room) => ROOMS[room]))].map((glob) => `${rootDir}/test/${glob}`),
};
