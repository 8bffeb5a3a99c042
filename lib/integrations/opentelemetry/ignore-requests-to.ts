import { MedplumConfigError } from '../../errors/medplum-config.error';

/**
 * Makes an `ignoreRequestHook` for `UndiciInstrumentation` that ignores every request to these servers, whoever sends it.
 *
 * You need it if you give a client a `dispatcher` of your own that queues requests, such as
 * `new Agent({ connections: 10 })`. Such a dispatcher sends a queued request in the async context of another one, so the
 * instrumentation cannot tell which call it belongs to. Without the hook it records the request's address, with ids and
 * signatures, in the wrong trace. If you pass no `dispatcher`, you do not need the hook.
 *
 * @param addresses the `baseUrl` of each such client, and its `storageOrigins`.
 * @throws MedplumConfigError if an address is not an absolute URL.
 *
 * @example
 * ```ts
 * new UndiciInstrumentation({ ignoreRequestHook: ignoreRequestsTo('https://api.medplum.com/') });
 * ```
 */
export function ignoreRequestsTo(...addresses: readonly string[]): (request: { readonly origin: string }) => boolean {
  const origins = new Set(addresses.map(originOf));
  return ({ origin }) => origins.has(origin);
}

function originOf(address: string): string {
  if (!URL.canParse(address)) {
    throw new MedplumConfigError(
      'ignoreRequestsTo() was given an address that is not a URL. Pass absolute URLs such as https://api.medplum.com/.',
    );
  }
  return new URL(address).origin;
}
