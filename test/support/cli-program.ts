/** The bin. `run-typescript.cjs` has put the path of this program where the name of the command belongs. */
process.argv.splice(2, 1);
require('../../lib/cli/main');
