import { existsSync } from 'node:fs';
import type { MedplumEmulator } from '../testing/medplum-emulator';
import type { CliCommand } from './cli-command';
import { type EmulatorFlags, readFlags, USAGE } from './emulator/emulator-flags';
import { errorCode } from './emulator/error-code';
import { exampleFixtures } from './emulator/example-fixtures';
import { readFixtures } from './emulator/fixtures-file';
import { writeEnvFile, writePrivateFile } from './emulator/private-files';
import { RequestLine } from './emulator/request-line';
import { reportText, type StartReport, startReport } from './emulator/start-report';

/** `nestjs-medplum emulator`: runs the embedded Medplum as a process of its own. */
export const emulatorCommand: CliCommand = {
  async run(args) {
    const flags = readFlags(args);
    if (flags.help || flags.example) {
      process.stdout.write(flags.help ? USAGE : `${JSON.stringify(exampleFixtures(), undefined, 2)}\n`);
      return;
    }
    const emulator = await start(flags);
    try {
      const report = startReport(emulator);
      writeFiles(emulator, report, flags);
      const stop = (): void => void emulator.close();
      process.once('SIGTERM', stop).once('SIGINT', stop);
      process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : reportText(report));
    } catch (error) {
      await emulator.close();
      throw error;
    }
  },
};

async function start({ port, serverVersion, persist, fixtures, quiet }: EmulatorFlags): Promise<MedplumEmulator> {
  if (process.env.NODE_ENV === 'production') {
    throw new Error('the emulator did not start, because it is for tests and NODE_ENV is production; unset NODE_ENV');
  }
  const content = fixtures === undefined ? undefined : readFixtures(fixtures);
  if (content && persist !== undefined && existsSync(persist)) {
    process.stderr.write(`--fixtures is not used, because ${persist} exists; delete it to start afresh\n`);
  }
  // Loaded only here, so that --help and --example work without the peers.
  const { MedplumEmulator: Emulator } =
    require('../testing/medplum-emulator') as typeof import('../testing/medplum-emulator');
  const { loadDefinitions } = require('../testing/definitions') as typeof import('../testing/definitions');
  let emulator: MedplumEmulator | undefined;
  // A request may come while the fixtures are still being created.
  const line = new RequestLine(loadDefinitions().resourceTypes, () => emulator?.members() ?? []);
  // A reader of the log that has gone must not end the emulator.
  process.stderr.on('error', () => undefined);
  emulator = await Emulator.start({
    port,
    serverVersion,
    keepProcessAlive: true,
    ...(persist !== undefined && { persist }),
    ...(content && { fixtures: content }),
    ...(!quiet && {
      onRequest: (request, durationMs) => void process.stderr.write(`${line.of(request, durationMs)}\n`),
    }),
  });
  return emulator;
}

function writeFiles(emulator: MedplumEmulator, report: StartReport, { seeded, writeEnv }: EmulatorFlags): void {
  if (seeded !== undefined) {
    write('--seeded', seeded, () => writePrivateFile(seeded, `${JSON.stringify(emulator.seeded(), undefined, 1)}\n`));
  }
  if (writeEnv !== undefined) {
    const { baseUrl, clientId, clientSecret } = report;
    if (clientId === undefined || clientSecret === undefined) {
      throw new Error('--write-env: the fixtures have no client, so there are no credentials to write; add a client');
    }
    write('--write-env', writeEnv, () =>
      writeEnvFile(writeEnv, {
        MEDPLUM_BASE_URL: baseUrl,
        MEDPLUM_CLIENT_ID: clientId,
        MEDPLUM_CLIENT_SECRET: clientSecret,
      }),
    );
  }
}

function write(flag: string, file: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    throw new Error(
      `${flag}: cannot write the file ${file} (${errorCode(error)}); check that its folder exists and that you may ` +
        'write to it',
      { cause: error },
    );
  }
}
