import type { NestApplicationOptions } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { enableFhirJson } from 'nestjs-medplum';
import { AppModule } from './app.module';
import { nearestProxy } from './auth/network-address';
import { sessionCookie } from './auth/session.cookie';
import { type ClinicConfig, clinicConfig } from './config/clinic.config';
import { ClinicSettingsError, readClinicSettings } from './config/clinic.settings';

/**
 * Makes the app. It is ready to listen.
 *
 * @throws ClinicSettingsError if the environment is not usable.
 */
export async function createClinic(options: NestApplicationOptions = {}): Promise<NestExpressApplication> {
  // Nest reads the settings too, but it would report a wrong environment with a stack trace.
  readClinicSettings(process.env);
  const app = await NestFactory.create<NestExpressApplication>(AppModule, { abortOnError: false, ...options });
  return setUpClinic(app);
}

/** Sets up what belongs to the application itself. Tests use it as well. */
export function setUpClinic(app: NestExpressApplication): NestExpressApplication {
  const settings = app.get<ClinicConfig>(clinicConfig.KEY);
  app.disable('x-powered-by');
  if (settings.production) {
    // TLS ends at a proxy in front. Without trust in that proxy, requests count as insecure and get no cookie, and all
    // users count as one address.
    app.set('trust proxy', nearestProxy());
  }
  app.use(sessionCookie(settings));
  return enableFhirJson(app);
}

/**
 * Starts to listen and returns the URL. If it cannot listen, it closes the app.
 *
 * @throws ClinicSettingsError if the port is not available.
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
      return new ClinicSettingsError([`Port ${port} is not allowed for this user: set PORT to one above 1023.`]);
    default:
      return error;
  }
}
