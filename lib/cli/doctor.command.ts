import { type CliCommand, WrongUsage } from './cli-command';
import { checkApp } from './doctor/check-app';
import { checkServer } from './doctor/check-server';
import { openApp } from './doctor/app/app-context';
import { readFlags, USAGE } from './doctor/doctor-flags';
import { readServerSettings } from './doctor/doctor-settings';
import { redacted } from './doctor/redact';
import { isHealthy, jsonReport, type Report, textReport } from './doctor/report';

/** `nestjs-medplum doctor`: finds what is wrong with server, client, identity and app, and says how to mend it. */
export const doctorCommand: CliCommand = {
  async run(args) {
    const flags = readFlags(args);
    if (flags.help) {
      process.stdout.write(USAGE);
      return;
    }
    const app = openApp(flags.app ?? process.cwd(), flags.app !== undefined);
    if (flags.skipServer && !app) {
      throw new WrongUsage(
        'there is nothing to check: no app is here that depends on nestjs-medplum; name it with --app',
      );
    }
    const settings = readServerSettings(flags, process.env);
    const report: Report = {
      parts: [
        ...(flags.skipServer ? [] : [{ title: 'Medplum', findings: await checkServer(settings) }]),
        ...(app ? [{ title: 'App', findings: await checkApp(app) }] : []),
      ],
    };
    const colors = process.stdout.isTTY && !process.env.NO_COLOR;
    const text = flags.json ? jsonReport(report) : textReport(report, colors);
    process.stdout.write(redacted(text, settings.clientId?.value, settings.clientSecret?.value));
    // Not process.exit(): a pipe may still have to be written.
    process.exitCode = isHealthy(report) ? 0 : 1;
  },
};
