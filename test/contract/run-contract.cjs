// Replays the recorded cases: on the embedded Medplum or, with MEDPLUM_BASE_URL, on a real server.
const { spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { seedServer } = require('./seed-server.cjs');

const USAGE = `npm run test:contract -- [--seed] [--seeded <file>] [options of Jest after --]

Without MEDPLUM_BASE_URL, the cases run on the embedded Medplum. With it, they run on that server:

  --seed           make the fixtures on the server first, as the super admin MEDPLUM_EMAIL with MEDPLUM_PASSWORD, or with
                   the access token MEDPLUM_TOKEN. It makes new projects each time. Never use a server with real data.
  --seeded <file>  where --seed keeps the ids and secrets (default reports/contract-seeded.json, only you can read it)
  --help           show this text
`;

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'boolean', default: false },
      seeded: { type: 'string', default: 'reports/contract-seeded.json' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const { MEDPLUM_BASE_URL: url, MEDPLUM_EMAIL: email, MEDPLUM_PASSWORD: password, MEDPLUM_TOKEN: token } = process.env;
  if (url === undefined) {
    if (values.seed) {
      throw new Error('--seed needs a server. Set MEDPLUM_BASE_URL to its address.');
    }
    return jest({}, positionals);
  }
  const base = url.endsWith('/') ? url : `${url}/`;
  const file = path.resolve(values.seeded);
  if (values.seed) {
    if (token === undefined && (email === undefined || password === undefined)) {
      throw new Error('--seed needs a super admin. Set MEDPLUM_EMAIL and MEDPLUM_PASSWORD, or MEDPLUM_TOKEN.');
    }
    mkdirSync(path.dirname(file), { recursive: true });
    const seeded = await seedServer(base, { email, password, token });
    writeFileSync(file, `${JSON.stringify(seeded, undefined, 1)}\n`, { mode: 0o600 });
    process.stdout.write(`The fixtures are on ${base}. Their ids and secrets are in ${path.relative('.', file)}.\n`);
  }
  if (!existsSync(file)) {
    throw new Error(
      `MEDPLUM_BASE_URL is set, but ${file} is missing, so the fixtures are not known. Pass --seed to make them.`,
    );
  }
  return jest({ CONTRACT_SEEDED: file, CONTRACT_BASE: base }, positionals);
}

function jest(env, args) {
  const bin = require.resolve('jest/bin/jest');
  const { status } = spawnSync(process.execPath, [bin, 'test/contract/', ...args], {
    env: { ...process.env, ...env },
    stdio: 'inherit',
  });
  return status ?? 1;
}

main().then(
  (status) => (process.exitCode = status),
  (error) => {
    process.stderr.write(`test:contract: ${error.message}\n`);
    process.exitCode = 2;
  },
);
