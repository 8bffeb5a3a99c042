import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
// Imports single files, because the index of the subpath would load Nest as well.
import type { MedplumServerVersion } from '../testing/emulator.types';
import type { EmulatorFixtures } from '../testing/fixtures.types';
import { MedplumEmulator } from '../testing/medplum-emulator';
import type { CliCommand } from './cli-command';

const USAGE = `usage: nestjs-medplum emulator [options]

Starts an embedded Medplum FHIR server on 127.0.0.1, for tests and samples. Once it listens, it prints one line of JSON
with its base URL. SIGTERM or Ctrl-C stops it.

  --port <number>            port to listen on; 0 picks a free one (default 0)
  --fixtures <file>          JSON file of the projects, clients, resources and memberships to start with
  --seeded <file>            file to write the created ids and secrets to (only you can read it)
  --persist <file>           file to keep everything in across restarts (only you can read it); once it exists, it
                             replaces the fixtures
  --server-version <5.0|5.2> Medplum release to imitate (default 5.0)
  --help                     show this text
`;

/** `nestjs-medplum emulator`: runs the embedded Medplum as a process of its own. */
export const emulatorCommand: CliCommand = {
  async run(args) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: { type: 'string', default: '0' },
        fixtures: { type: 'string' },
        seeded: { type: 'string' },
        persist: { type: 'string' },
        'server-version': { type: 'string', default: '5.0' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      return;
    }
    const emulator = await MedplumEmulator.start({
      port: parsePort(values.port),
      serverVersion: parseVersion(values['server-version']),
      ...(values.persist !== undefined && { persist: values.persist }),
      ...(values.fixtures !== undefined && { fixtures: readFixtures(values.fixtures) }),
    });
    if (values.seeded !== undefined) {
      writeFileSync(values.seeded, `${JSON.stringify(emulator.seeded(), undefined, 1)}\n`, { mode: 0o600 });
    }
    const stop = (): void => void emulator.close();
    process.once('SIGTERM', stop).once('SIGINT', stop);
    process.stdout.write(`${JSON.stringify({ baseUrl: emulator.baseUrl })}\n`);
  },
};

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new Error(`--port must be a number from 0 to 65535, got "${text}"`);
  }
  return port;
}

function parseVersion(text: string): MedplumServerVersion {
  if (text !== '5.0' && text !== '5.2') {
    throw new Error(`--server-version must be 5.0 or 5.2, got "${text}"`);
  }
  return text;
}

function readFixtures(file: string): EmulatorFixtures {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new Error(`--fixtures: cannot read the file ${file}; check that it exists and that you may read it`);
  }
  try {
    return JSON.parse(text) as EmulatorFixtures;
  } catch {
    throw new Error(`--fixtures: ${file} is not JSON; correct its syntax`);
  }
}
