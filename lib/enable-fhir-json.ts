import type { INestApplication } from '@nestjs/common';
import { MedplumConfigError } from './errors/medplum-config.error';

/** `application/json` too: Nest registers no parser for it once the app has registered a JSON parser. */
const JSON_TYPES = ['application/json', 'application/fhir+json'];

interface ExpressApplication {
  useBodyParser(type: 'json', options: { readonly type: string[]; readonly limit?: number }): unknown;
}

type BodyParser<B> = (
  request: { rawBody?: Buffer },
  body: B,
  done: (error: Error | null, body?: unknown) => void,
) => void;

interface FastifyInstance {
  getDefaultJsonParser(onProtoPoisoning: 'error', onConstructorPoisoning: 'error'): BodyParser<string>;
  addContentTypeParser(
    type: string,
    options: { readonly parseAs: 'buffer'; readonly bodyLimit?: number },
    parser: BodyParser<Buffer>,
  ): void;
}

/** What `NestFactory.create()` was given. Nest's own `useBodyParser()` reads it in the same way. */
interface ApplicationOptions {
  readonly appOptions?: { readonly rawBody?: boolean };
}

/** Options of {@link enableFhirJson}. */
export interface FhirJsonOptions {
  /** Largest body, in bytes. Default: that of the platform, 100 KB on Express and 1 MiB on Fastify. Medplum takes 1 MB. */
  readonly limit?: number | undefined;
}

/**
 * Makes the app parse request bodies of type `application/fhir+json`, on Express and Fastify. Call it before
 * `app.listen()` or `app.init()`. With `rawBody: true` in `NestFactory.create()`, `request.rawBody` has their bytes.
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
    const parse = fastify.getDefaultJsonParser('error', 'error');
    const keepsRawBody = (app as ApplicationOptions).appOptions?.rawBody === true;
    fastify.addContentTypeParser(
      'application/fhir+json',
      { parseAs: 'buffer', ...bodyLimit },
      (request, body, done) => {
        if (keepsRawBody) {
          request.rawBody = body;
        }
        parse(request, body.toString(), done);
      },
    );
  } else {
    throw new MedplumConfigError(
      'enableFhirJson() supports only Express and Fastify, and this app runs on another platform. Register a parser for application/fhir+json yourself.',
    );
  }
  return app;
}
