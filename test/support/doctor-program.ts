import Module from 'node:module';

/**
 * The bin, on a machine where the peers of the library are not installed. `run-typescript.cjs` has put the path of this
 * program where the name of the command belongs.
 */
type Load = (request: string, ...rest: unknown[]) => unknown;
const loader = Module as unknown as { _load: Load };
// oxlint-disable-next-line no-underscore-dangle -- the name in Node's module loader
const load = loader._load;
// oxlint-disable-next-line no-underscore-dangle -- the name in Node's module loader
loader._load = function (this: unknown, request, ...rest) {
  if (/^(?:@nestjs\/|nestjs-cls|rxjs|reflect-metadata|@medplum\/|@opentelemetry\/)/.test(request)) {
    throw new Error(`The doctor loaded the peer ${request}.`);
  }
  return load.call(this, request, ...rest);
};
process.argv.splice(2, 1);
require('../../lib/cli/main');
