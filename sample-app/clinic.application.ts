import type { NestApplicationOptions } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { enableFhirJson } from 'nestjs-medplum';
import { AppModule } from './app.module';
import { sessionCookie } from './auth/session.cookie';
import { type ClinicConfig, clinicConfig } from './config/clinic.config';
import { ClinicSettingsError, readClinicSettings } from './config/clinic.settings';

/**
 * Makes the app, ready to listen.
 *
 * @throws ClinicSettingsError when the environment cannot be used.
 */
export async function createClinic(options: NestApplicationOptions = {}): Promise<NestExpressApplication> {
  // Once more than Nest does it: a wrong environment is told in plain words, before there is a stack trace.
  readClinicSettings(process.env);
  const app = await NestFactory.create<NestExpressApplication>(AppModule, { abortOnError: false, ...options });
  return setUpClinic(app);
}

/** What is set on the application itself, in tests as well. */
export function setUpClinic(app: NestExpressApplication): NestExpressApplication {
  const settings = app.get<ClinicConfig>(clinicConfig.KEY);
  app.disable('x-powered-by');
  if (settings.production) {
    // TLS ends at a proxy in front: its word counts for "this request was secure", or no cookie would be set.
    app.set('trust proxy', 'loopback, linklocal, uniquelocal');
  }
  app.use(sessionCookie(settings));
  return enableFhirJson(app);
}

/**
 * Listens, and returns the address. When it cannot, the app is closed again.
 *
 * @throws ClinicSettingsError when the port cannot be had.
 */
export async function listen(app: NestExpressApplication, port?: number): Promise<string> {
  const settings = app.get<ClinicConfig>(clinicConfig.KEY);
  const wanted = port ?? settings.port;
  try {
    await app.listen(wanted, settings.host);
  } catch (error) {
    await app.close();
    throw describeListenError(error, wanted);
  }
  return app.getUrl();
}

function describeListenError(error: unknown, port: number): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return new ClinicSettingsError([`Port ${port} is in use: set PORT to another one, or to 0 for any free one.`]);
    case 'EACCES':
      return new ClinicSettingsError([`Port ${port} may not be used by this user: set PORT to one above 1023.`]);
    default:
      return error;
  }
}
