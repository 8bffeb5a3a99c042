import { MedplumConfigError } from '../errors/medplum-config.error';

/** A request as an instrumentation shows it to its ignore hook: the whole URL, or undici's request object. */
export type ObservedRequest = string | URL | { readonly origin: string | URL };

/**
 * Makes a hook with which an instrumentation ignores every request to these servers, whoever sends it. Instrumentations of
 * undici see whole addresses, with ids, search values and signatures. The hook fits:
 *
 * - `@nestjs/observe`: `outgoing: { http: { ignore } }`. It then makes no span and sends no `x-request-id` to Medplum.
 * - `@opentelemetry/instrumentation-undici`: `ignoreRequestHook`. With `MedplumOpenTelemetryModule` you need it only if you
 *   give a client a `dispatcher` of your own that queues requests, such as `new Agent({ connections: 10 })`. Such a
 *   dispatcher sends a queued request in the async context of another one, so the instrumentation cannot tell which call it
 *   belongs to.
 * - other tools whose hook gets the URL or an object with its `origin`.
 *
 * @param addresses the `baseUrl` of each client, and its `storageOrigins`.
 * @throws MedplumConfigError if an address is not an absolute URL.
 *
 * @example
 * ```ts
 * ObserveModule.forRoot({
 *   outgoing: { http: { ignore: ignoreRequestsTo('https://api.medplum.com/', 'https://storage.medplum.com/') } },
 * });
 * ```
 */
export function ignoreRequestsTo(...addresses: readonly string[]): (request: ObservedRequest) => boolean {
  const origins = new Set(addresses.map(originOf));
  return (request) => origins.has(originOfRequest(request));
}

function originOf(address: string): string {
  if (!URL.canParse(address)) {
    throw new MedplumConfigError(
      'ignoreRequestsTo() was given an address that is not a URL. Pass absolute URLs such as https://api.medplum.com/.',
    );
  }
  return new URL(address).origin;
}

/** The origin of a request. Instrumentations call the hook inside the request, so it must never throw. */
function originOfRequest(request: ObservedRequest): string {
  const address = typeof request === 'string' || request instanceof URL ? request : request.origin;
  const text = String(address);
  return URL.canParse(text) ? new URL(text).origin : '';
}
