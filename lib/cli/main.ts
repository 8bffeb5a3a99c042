#!/usr/bin/env node
import { type CliCommand, WrongUsage } from './cli-command';

/** A command is loaded only when you call it, so that the others work without its optional peers. */
const COMMANDS: Readonly<Record<string, () => CliCommand>> = {
  audit: () => (require('./audit.command') as typeof import('./audit.command')).auditCommand,
  doctor: () => (require('./doctor.command') as typeof import('./doctor.command')).doctorCommand,
  emulator: () => (require('./emulator.command') as typeof import('./emulator.command')).emulatorCommand,
  routes: () => (require('./routes.command') as typeof import('./routes.command')).routesCommand,
};

const [name = '', ...args] = process.argv.slice(2);

/** Runs the command that the first argument names. Exit code 2 means wrong usage, 1 means that the command failed. */
async function main(): Promise<void> {
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!load) {
    process.stderr.write(`usage: nestjs-medplum <command>\ncommands: ${Object.keys(COMMANDS).join(', ')}\n`);
    process.exitCode = ['--help', '-h', 'help'].includes(name) ? 0 : 2;
    return;
  }
  await load().run(args);
}

main().catch((error: unknown) => {
  const wrongCall =
    error instanceof WrongUsage ||
    (error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
  process.stderr.write(`nestjs-medplum ${name}: ${error instanceof Error ? error.message : 'failed'}\n`);
  process.exitCode = wrongCall ? 2 : 1;
});
