import Module from 'node:module';

/**
 * The bin. `run-typescript.cjs` has put the path of this program where the name of the command belongs. With `NO_PEERS` it
 * runs as on a machine where the peers of the library are not installed.
 */
type Load = (request: string, ...rest: unknown[]) => unknown;
const loader = Module as unknown as { _load: Load };
// oxlint-disable-next-line no-underscore-dangle -- the name in Node's module loader
const load = loader._load;
if (process.env.NO_PEERS) {
  // oxlint-disable-next-line no-underscore-dangle -- the name in Node's module loader
  loader._load = function (this: unknown, request, ...rest) {
    if (/^(?:@nestjs\/|nestjs-cls|rxjs|reflect-metadata|@medplum\/|@opentelemetry\/)/.test(request)) {
      throw Object.assign(new Error(`Cannot find module '${request}'`), { code: 'MODULE_NOT_FOUND' });
    }
    return load.call(this, request, ...rest);
  };
}
process.argv.splice(2, 1);
require('../../lib/cli/main');
