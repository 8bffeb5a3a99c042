import { parseArgs } from 'node:util';
import type { MedplumServerVersion } from '../../testing/emulator.types';
import { WrongUsage } from '../cli-command';

export const USAGE = `usage: nestjs-medplum emulator [options]

Starts an embedded Medplum FHIR server on 127.0.0.1, for tests and samples. Once it listens, it prints its base URL, the
credentials of its client, and its members. SIGTERM or Ctrl-C stops it.

  --port <number>            port to listen on; 0 picks a free one (default 0)
  --fixtures <file>          JSON file of the projects, clients, resources and memberships to start with
  --example                  print fixtures that you can start with, and exit: --example > fixtures.json
  --persist <file>           file to keep everything in across restarts (only you can read it); once it exists, it
                             replaces the fixtures
  --write-env <file>         write MEDPLUM_BASE_URL, MEDPLUM_CLIENT_ID and MEDPLUM_CLIENT_SECRET of the first client to
                             this file, and keep its other lines (only you can read it)
  --seeded <file>            file to write the created ids and secrets to (only you can read it)
  --json                     print one line of JSON in place of the tables
  --quiet                    print no line per request; otherwise each request is a line on standard error
  --server-version <5.0|5.2> Medplum release to imitate (default 5.0)
  --help                     show this text
`;

/** What the person at the terminal asked for. */
export interface EmulatorFlags {
  readonly port: number;
  readonly serverVersion: MedplumServerVersion;
  readonly fixtures: string | undefined;
  readonly seeded: string | undefined;
  readonly persist: string | undefined;
  readonly writeEnv: string | undefined;
  readonly example: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly help: boolean;
}

/**
 * Reads the arguments of the command.
 *
 * @throws WrongUsage, or the error of `parseArgs`, if they make no sense.
 */
export function readFlags(args: readonly string[]): EmulatorFlags {
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { type: 'string', default: '0' },
      fixtures: { type: 'string' },
      seeded: { type: 'string' },
      persist: { type: 'string' },
      'write-env': { type: 'string' },
      example: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
      'server-version': { type: 'string', default: '5.0' },
      help: { type: 'boolean', default: false },
    },
  });
  const file = (name: 'fixtures' | 'seeded' | 'persist' | 'write-env'): string | undefined => {
    if (values[name] === '') {
      throw new WrongUsage(`--${name} was given an empty name; name a file`);
    }
    return values[name];
  };
  const { example, json, quiet, help } = values;
  return {
    port: parsePort(values.port),
    serverVersion: parseVersion(values['server-version']),
    fixtures: file('fixtures'),
    seeded: file('seeded'),
    persist: file('persist'),
    writeEnv: file('write-env'),
    example,
    json,
    quiet,
    help,
  };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new WrongUsage(`--port must be a number from 0 to 65535, got "${text}"`);
  }
  return port;
}

function parseVersion(text: string): MedplumServerVersion {
  if (text !== '5.0' && text !== '5.2') {
    throw new WrongUsage(`--server-version must be 5.0 or 5.2, got "${text}"`);
  }
  return text;
}
