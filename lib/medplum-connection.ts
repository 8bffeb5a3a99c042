import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Pool } from 'undici';
import type { MedplumAudit } from './audit/medplum-audit';
import { isMedplumError, type MedplumError } from './errors/medplum.error';
import { MedplumBadRequestError } from './errors/response.errors';
import type { FhirInteraction, FhirRequest } from './fhir/fhir-request';
import { BasicCredentials } from './http/basic-credentials';
import { OAuthClientCredentials } from './http/oauth-client-credentials';
import { callerHeaders } from './http/caller-headers';
import type { MedplumDispatcher } from './http/medplum-dispatcher';
import { MedplumTransport, type TransportResponse } from './http/medplum-transport';
import type { RequestAttempt } from './http/request-attempt';
import { checkRequestOptions, type MedplumRequestOptions } from './medplum-request.options';
import type { ResolvedMedplumOptions } from './medplum.options';
import type { Identity } from './on-behalf-of/identity';
import type { IdentityResolver } from './on-behalf-of/identity-resolver';

/** How long calls in flight may take to finish when the app shuts down, in ms. */
const DRAIN_TIMEOUT = 10_000;

/** @internal One configured client: its pool, and the one way of every call through identity, transport and audit. */
export class MedplumConnection implements OnApplicationShutdown {
  readonly #logger = new Logger('Medplum');
  readonly #transport: MedplumTransport;
  readonly #ownPool: Pool | undefined;
  #lenientSaid = false;

  constructor(
    readonly name: string,
    private readonly options: ResolvedMedplumOptions,
    /** The client's own rules of identity; `actingAs()` derives others. */
    readonly identity: IdentityResolver,
    private readonly audit: MedplumAudit,
  ) {
    const { baseUrl, pool, connectTimeout, retry } = options;
    let dispatcher: MedplumDispatcher | undefined = options.dispatcher;
    if (!dispatcher) {
      // The deadline of a call covers headers and body, so the pool need not watch them.
      const timeouts = { connect: { timeout: connectTimeout }, headersTimeout: 0, bodyTimeout: 0 };
      dispatcher = this.#ownPool = new Pool(baseUrl.origin, { ...pool, ...timeouts });
    }
    const { clientId, clientSecret } = options;
    const credentials =
      options.auth === 'basic'
        ? new BasicCredentials(clientId, clientSecret)
        : new OAuthClientCredentials({ baseUrl, dispatcher, clientId, clientSecret });
    this.#transport = new MedplumTransport({ baseUrl, dispatcher, credentials, retry });
  }

  /**
   * Makes one call and publishes its event. The identity is pinned before this method returns; whatever happens later
   * has it as an argument.
   *
   * @param interaction what the event says of the call when its arguments are refused.
   * @param describe reads the arguments; it may throw.
   */
  call(
    resolver: IdentityResolver,
    interaction: FhirInteraction,
    describe: () => FhirRequest,
    options: MedplumRequestOptions,
  ): Promise<unknown> {
    const startedAt = Date.now();
    const start = performance.now();
    const attempts: RequestAttempt[] = [];
    let request: FhirRequest | undefined;
    let identity: Identity | undefined;
    const end = (response?: TransportResponse, error?: MedplumError): void => {
      // What refused arguments leave unsaid is filled in from the interaction.
      const { action, method, pathTemplate, query, resourceType, resourceId, operation } = {
        query: '',
        resourceType: undefined,
        resourceId: undefined,
        operation: undefined,
        ...(request ?? interaction),
      };
      const path = request ? `/${request.path}` : pathTemplate;
      const who = { onBehalfOf: identity?.onBehalfOf, identitySource: identity?.source };
      error?.attachRequest({ client: this.name, method, path, pathTemplate, ...who });
      this.audit.publish({
        client: this.name,
        action,
        method,
        pathTemplate,
        path,
        query,
        resourceType,
        resourceId,
        operation,
        ...who,
        reason: identity?.reason,
        startedAt,
        durationMs: performance.now() - start,
        attempts,
        status: response?.status ?? error?.status,
        requestId: response?.requestId ?? error?.requestId,
        effect: error?.effect ?? (request?.repeatability === 'safe' ? 'none' : 'happened'),
        error,
      });
    };
    try {
      checkRequestOptions(options);
      try {
        request = describe();
      } finally {
        // Also when the arguments are refused: the event says for whom, and a call for nobody is refused as such.
        identity = resolver.pin(options);
      }
      const headers = { ...request.headers, ...callerHeaders(options.headers, request.headers) };
      refuseAsyncBundle(request, headers, identity);
      this.#sayLenient(identity);
      return this.#send(request, headers, identity, options, attempts).then(
        (response) => {
          end(response);
          return response.body;
        },
        (error: MedplumError) => {
          end(undefined, error);
          throw error;
        },
      );
    } catch (cause) {
      const error = isMedplumError(cause)
        ? cause
        : new MedplumBadRequestError('The arguments of the call cannot be read. Nothing was sent.', { cause });
      end(undefined, error);
      return Promise.reject(error);
    }
  }

  /** Lets calls in flight finish, then closes the pool. A dispatcher that was given is left alone. */
  async onApplicationShutdown(): Promise<void> {
    const pool = this.#ownPool;
    if (!pool || pool.closed || pool.destroyed) {
      return;
    }
    const timer = setTimeout(() => void pool.destroy(), DRAIN_TIMEOUT);
    await pool.close().catch(() => undefined);
    clearTimeout(timer);
  }

  #send(
    request: FhirRequest,
    headers: Readonly<Record<string, string>>,
    identity: Identity,
    options: MedplumRequestOptions,
    attempts: RequestAttempt[],
  ): Promise<TransportResponse> {
    const { method, path, query, pathTemplate, body, repeatability } = request;
    return this.#transport.send(
      {
        method,
        path: query === '' ? path : `${path}?${query}`,
        call: `${method} ${pathTemplate}`,
        headers,
        body,
        repeatability,
        onBehalfOf: identity.onBehalfOf,
        extended: this.options.extended && request.extended !== false,
        signal: options.signal,
        timeout: options.timeout ?? this.options.timeout,
      },
      attempts,
    );
  }

  #sayLenient(identity: Identity): void {
    if (identity.source === 'lenient' && !this.#lenientSaid) {
      this.#lenientSaid = true;
      this.#logger.warn(
        `A call of the client "${this.name}" names nobody to act for and runs with the rights of a project admin, because requireOnBehalfOf is false. This is said once.`,
      );
    }
  }
}

/** Medplum runs the entries of an asynchronous bundle as the client, whatever identity the request carries. */
function refuseAsyncBundle(request: FhirRequest, headers: Readonly<Record<string, string>>, identity: Identity): void {
  const isBundle = request.action === 'batch' || request.action === 'transaction';
  if (isBundle && identity.onBehalfOf !== undefined && /respond-async/i.test(headers['prefer'] ?? '')) {
    throw new MedplumBadRequestError(
      'Prefer: respond-async on a bundle makes Medplum run its entries with the rights of the client instead of those of the user. ' +
        'Send the bundle without it, or as the client itself in asClientApplication(). Nothing was sent.',
    );
  }
}
