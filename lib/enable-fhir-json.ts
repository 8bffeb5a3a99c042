import type { INestApplication } from '@nestjs/common';
import { MedplumConfigError } from './errors/medplum-config.error';

/** The media types of JSON bodies: Nest registers no parser of its own for `application/json` once there is another. */
const JSON_TYPES = ['application/json', 'application/fhir+json'];

interface BodyParserApplication {
  useBodyParser(type: string | string[], options?: { readonly type?: string[] }): unknown;
}

/**
 * Makes the app parse request bodies of type `application/fhir+json`, on Express and Fastify. Call it before
 * `app.listen()` or `app.init()`.
 *
 * @param app an application of Express or Fastify.
 * @throws MedplumConfigError on another platform.
 */
export function enableFhirJson<T extends INestApplication>(app: T): T {
  const platform = app.getHttpAdapter().getType();
  const parsers = app as unknown as BodyParserApplication;
  if (platform === 'express') {
    parsers.useBodyParser('json', { type: JSON_TYPES });
  } else if (platform === 'fastify') {
    parsers.useBodyParser('application/fhir+json');
  } else {
    throw new MedplumConfigError(
      'enableFhirJson() knows Express and Fastify: register a parser for application/fhir+json yourself.',
    );
  }
  return app;
}
