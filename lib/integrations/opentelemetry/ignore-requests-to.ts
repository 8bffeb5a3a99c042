import { MedplumConfigError } from '../../errors/medplum-config.error';

/**
 * An `ignoreRequestHook` for `UndiciInstrumentation` that leaves requests to these servers alone, whoever makes them.
 *
 * It is for apps that give a client a `dispatcher` of their own which keeps requests waiting, such as
 * `new Agent({ connections: 10 })`. Such a dispatcher sends what waited in the midst of other people's requests, where it
 * cannot be seen whose it is: without the hook the instrumentation records its address, with ids and signatures, and in
 * the wrong trace. Without a `dispatcher` the hook is not needed.
 *
 * @param addresses the `baseUrl` of each such client, and its `storageOrigins`.
 * @throws MedplumConfigError for what is no absolute URL.
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
    throw new MedplumConfigError('ignoreRequestsTo() takes absolute URLs such as https://api.medplum.com/.');
  }
  return new URL(address).origin;
}
