import 'reflect-metadata';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { ClinicBackend } from './backend/clinic.backend';
import { createClinic, listen } from './clinic.application';
import { ClinicSettingsError } from './config/clinic.settings';
import { textTable } from './tour/text-table';

async function bootstrap(): Promise<void> {
  const app = await createClinic();
  app.enableShutdownHooks();
  const url = await listen(app);
  console.log(`\n${welcome(app, url)}\n`);
}

/** The only place that shows passwords, and only the random ones of this start. */
function welcome(app: NestExpressApplication, url: string): string {
  const { demoLogins } = app.get(ClinicBackend);
  const [first] = demoLogins;
  if (!first) {
    return `The clinic is open at ${url}`;
  }
  return [
    `The clinic is open at ${url}, with an embedded Medplum. When you stop it, all data is lost.`,
    '',
    'Logins, new at each start:',
    textTable(demoLogins.map(({ name, password, role, organization }) => ({ name, password, role, organization }))),
    '',
    'Try it:',
    `  curl -c jar -H 'content-type: application/json' -d '${JSON.stringify({ name: first.name, password: first.password })}' ${url}/auth/login`,
    `  curl -b jar ${url}/patients`,
    '',
    'npm run tour plays the whole story.',
  ].join('\n');
}

bootstrap().catch((error: unknown) => {
  console.error(error instanceof ClinicSettingsError ? error.message : error);
  process.exit(1);
});
