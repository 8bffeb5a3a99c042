/** Instead of a package in Jest's module registry: the one that Node loads, whatever kind of module it is. */
module.exports = {
  process: (_source, path) => ({ code: `module.exports = requireNatively(${JSON.stringify(path)});` }),
};
