import type { INestApplication } from '@nestjs/common';
import { MedplumConfigError } from './errors/medplum-config.error';

/** `application/json` too: Nest registers no parser for it once the app has registered a JSON parser. */
const JSON_TYPES = ['application/json', 'application/fhir+json'];

interface ExpressApplication {
  useBodyParser(type: 'json', options: { readonly type: string[]; readonly limit?: number }): unknown;
}

interface FastifyInstance {
  getDefaultJsonParser(onProtoPoisoning: 'error', onConstructorPoisoning: 'error'): unknown;
  addContentTypeParser(
    type: string,
    options: { readonly parseAs: 'string'; readonly bodyLimit?: number },
    parser: unknown,
  ): void;
}

/** Options of {@link enableFhirJson}. */
export interface FhirJsonOptions {
  /** Largest body, in bytes. Default: that of the platform, 100 KB on Express and 1 MiB on Fastify. Medplum takes 1 MB. */
  readonly limit?: number | undefined;
}

/**
 * Makes the app parse request bodies of type `application/fhir+json`, on Express and Fastify. Call it before
 * `app.listen()` or `app.init()`.
 *
 * @param app a Nest application on Express or Fastify.
 * @throws MedplumConfigError on another platform.
 */
export function enableFhirJson<T extends INestApplication>(app: T, options: FhirJsonOptions = {}): T {
  const adapter = app.getHttpAdapter();
  const platform = adapter.getType();
  if (platform === 'express') {
    (app as unknown as ExpressApplication).useBodyParser('json', { type: JSON_TYPES, ...options });
  } else if (platform === 'fastify') {
    // Not useBodyParser(): in Nest 11 it switches Nest's own parsers off, for JSON and for forms.
    const fastify = adapter.getInstance() as FastifyInstance;
    const bodyLimit = options.limit === undefined ? {} : { bodyLimit: options.limit };
    const parser = fastify.getDefaultJsonParser('error', 'error');
    fastify.addContentTypeParser('application/fhir+json', { parseAs: 'string', ...bodyLimit }, parser);
  } else {
    throw new MedplumConfigError(
      'enableFhirJson() supports only Express and Fastify, and this app runs on another platform. Register a parser for application/fhir+json yourself.',
    );
  }
  return app;
}
