import type { Agent } from 'undici';
import type { BaseUrl } from '../shared/base-url';
import type { CallTracing } from './call-tracing';
import { NO_CREDENTIALS } from './credentials';
import type { MedplumDispatcher } from './medplum-dispatcher';
import { DispatcherWire } from './dispatcher-wire';
import { MedplumTransport } from './medplum-transport';
import { quietAgent } from './pool';
import type { TransportRequest, TransportResponse } from './transport.types';
import type { SignedHost } from '../shared/request.types';
import type { RequestAttempt } from '../shared/request-attempt';
import type { MedplumRetryOptions } from './retry.options';

/** The settings of the client that also apply to signed addresses. */
export interface SignedTransportOptions {
  readonly retry: Required<MedplumRetryOptions>;
  /** Time limit for opening a connection, in ms. */
  readonly connectTimeout: number;
  /** Most bytes of a response that is not streamed. */
  readonly maxBytes: number;
  /** The dispatcher is the library's own pool, which connects to the server of the client only. */
  readonly own: boolean;
  readonly tracing: CallTracing;
}

/** Fetches signed addresses. They are credentials themselves, so neither the client's credentials nor an identity are sent. */
export class SignedTransport {
  readonly #baseUrl: BaseUrl;
  readonly #dispatcher: MedplumDispatcher;
  readonly #options: SignedTransportOptions;
  readonly #transports = new Map<string, MedplumTransport>();
  #agent: Agent | undefined;

  constructor(baseUrl: BaseUrl, dispatcher: MedplumDispatcher, options: SignedTransportOptions) {
    this.#baseUrl = baseUrl;
    this.#dispatcher = dispatcher;
    this.#options = options;
  }

  /**
   * Fetches the address. The caller has checked that its origin is allowed.
   *
   * @param signedFor the host that the server signed, if the address is another one of the same server.
   */
  send(
    { origin, pathname, search }: URL,
    request: TransportRequest,
    attempts: RequestAttempt[],
    signedFor?: SignedHost,
  ): Promise<TransportResponse> {
    let transport = this.#transports.get(origin);
    if (!transport) {
      const { retry, maxBytes, own } = this.#options;
      const wire = new DispatcherWire(this.#dispatcherOf(origin), { origin, maxBytes, foreign: !own });
      transport = new MedplumTransport({
        baseUrl: { origin, path: '/' },
        wire,
        credentials: NO_CREDENTIALS,
        retry,
      });
      this.#transports.set(origin, transport);
    }
    const path = pathname.slice(1) + search;
    // The other headers of the caller are for the FHIR server.
    const { accept = '*/*' } = request.headers;
    // As a proxy in front of the server would say it (`X-Forwarded-Proto`, a de-facto standard).
    const proxied = signedFor && { host: signedFor.host, 'x-forwarded-proto': signedFor.scheme.replace(':', '') };
    const headers = { accept, ...proxied };
    return transport.send({ ...request, path, headers, onBehalfOf: undefined, extended: false }, attempts);
  }

  /** Closes the connections to other servers. */
  async close(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await agent?.destroy();
  }

  #dispatcherOf(origin: string): MedplumDispatcher {
    if (!this.#options.own || origin === this.#baseUrl.origin) {
      return this.#dispatcher;
    }
    const { connectTimeout, tracing } = this.#options;
    const connect = { timeout: connectTimeout };
    this.#agent ??= quietAgent({ connect, headersTimeout: 0, bodyTimeout: 0 }, tracing);
    return this.#agent;
  }
}
