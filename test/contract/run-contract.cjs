// npm run test:contract -- --seeded seeded.json [--base URL] [any option of Jest]
// Replays the recorded cases on the emulator or, with --seeded, on the server that was seeded.
const { spawnSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const path = require('node:path');

const env = { ...process.env };
const rest = [];
const args = process.argv.slice(2);
while (args.length > 0) {
  const arg = args.shift();
  if (arg === '--seeded') {
    env.CONTRACT_SEEDED = path.resolve(args.shift() ?? '');
  } else if (arg === '--base') {
    env.CONTRACT_BASE = args.shift();
  } else {
    rest.push(arg);
  }
}
if (env.CONTRACT_SEEDED && !existsSync(env.CONTRACT_SEEDED)) {
  process.stderr.write(`--seeded: there is no file ${env.CONTRACT_SEEDED}; check its path\n`);
  process.exit(2);
}
const jest = require.resolve('jest/bin/jest');
const { status } = spawnSync(process.execPath, [jest, 'test/contract/contract.spec.ts', ...rest], {
  env,
  stdio: 'inherit',
});
process.exit(status ?? 1);
