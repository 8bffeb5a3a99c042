import { randomUUID } from 'node:crypto';
import { type MedplumAuditContext, traceIdOf } from './audit/audit-context';
import { requestedEntries, type RequestedEntry } from './audit/bundle-summary';
import type { MedplumAudit } from './audit/medplum-audit';
import { isMedplumError, type MedplumError } from './errors/medplum.error';
import { MedplumBadRequestError } from './errors/response.errors';
import type { FhirInteraction, FhirRequest } from './fhir/fhir-request';
import type { BaseUrl } from './http/base-url';
import { callerHeaders } from './http/caller-headers';
import { DownloadStream } from './http/download-stream';
import type { TransportRequest, TransportResponse } from './http/medplum-transport';
import type { RequestAttempt } from './http/request-attempt';
import { checkRequestOptions, type MedplumRequestOptions } from './medplum-request.options';
import type { Identity } from './on-behalf-of/identity';
import type { IdentityResolver } from './on-behalf-of/identity-resolver';

/** @internal What a pinned call needs of its connection. */
export interface CallHost {
  readonly name: string;
  readonly clientId: string;
  readonly baseUrl: BaseUrl;
  readonly audit: MedplumAudit;
  /** Default time limit of a call, in ms. */
  readonly timeout: number;
  readonly extended: boolean;
  /** What the app says of the call that is being made; `undefined` when nobody listens. */
  auditContext(): MedplumAuditContext | undefined;
  /** The identity under the name that the membership check found for it; `undefined` when nothing is checked. */
  vet(identity: Identity): Promise<Identity> | undefined;
  /** Called with the identity of each request before it is sent. */
  sending(identity: Identity): void;
  transmit(request: FhirRequest, wire: TransportRequest, attempts: RequestAttempt[]): Promise<TransportResponse>;
}

/** @internal How a method uses its options. */
export interface PinOptions {
  /** Names of the options that the method has beside those of every call. */
  readonly further?: readonly string[];
  /** What the option `timeout` is for: each request of the method (default), or all of them together. */
  readonly timeout?: 'each' | 'whole';
}

/**
 * @internal One use of a public method: an identity that was fixed when the method was called, and the requests that are
 * made for it, one after the other. Each request publishes its own event; all of them share an `operationId`.
 */
export class PinnedCall {
  readonly #host: CallHost;
  readonly #options: MedplumRequestOptions;
  readonly #headers: Readonly<Record<string, string>> | undefined;
  readonly #start = performance.now();
  readonly #timeout: PinOptions['timeout'];
  #identity: Identity | undefined;
  readonly #refusal: unknown;
  readonly #context: MedplumAuditContext | undefined;
  #operationId: string | undefined;

  /** Never throws: what is wrong is the error, and the event, of the first request. */
  constructor(
    host: CallHost,
    resolver: Pick<IdentityResolver, 'pin'>,
    options: MedplumRequestOptions,
    pin: PinOptions = {},
  ) {
    this.#host = host;
    this.#timeout = pin.timeout;
    this.#options = options;
    this.#context = host.auditContext();
    try {
      checkRequestOptions(options, pin.further);
      this.#options = { ...options };
      this.#identity = resolver.pin(options);
      this.#headers = options.headers && callerHeaders(options.headers);
    } catch (cause) {
      this.#refusal = cause;
    }
  }

  /** Whom the requests are made for; `undefined`: as the client itself, or for nobody, which is refused. */
  get identity(): Identity | undefined {
    return this.#identity;
  }

  /** The signal of the caller. */
  get signal(): AbortSignal | undefined {
    return this.#options.signal;
  }

  /** The body of the answer of {@link PinnedCall.send}. */
  async body(interaction: FhirInteraction, describe: () => FhirRequest): Promise<unknown> {
    return (await this.send(interaction, describe)).body;
  }

  /**
   * Makes one request and publishes its event.
   *
   * @param interaction what the event says of the request when its arguments are refused.
   * @param describe reads the arguments; it may throw.
   */
  send(interaction: FhirInteraction, describe: () => FhirRequest): Promise<TransportResponse> {
    const startedAt = Date.now();
    const start = performance.now();
    const attempts: RequestAttempt[] = [];
    const host = this.#host;
    let identity = this.#identity;
    let request: FhirRequest | undefined;
    let entries: readonly RequestedEntry[] | undefined;
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
      error?.attachRequest({ client: host.name, method, path, pathTemplate, ...who });
      host.audit.publish({
        operationId: (this.#operationId ??= randomUUID()),
        client: host.name,
        clientId: host.clientId,
        baseUrl: host.baseUrl.origin + host.baseUrl.path,
        action,
        method,
        pathTemplate,
        path,
        query: request?.eventQuery ?? query,
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
        traceId: this.#headers && traceIdOf(this.#headers),
        context: this.#context,
        entries,
        answer: response?.body,
      });
    };
    try {
      try {
        request = describe();
        entries = request.entries && host.audit.isActive ? requestedEntries(request.entries) : undefined;
      } finally {
        // Arguments that are wrong as well do not hide that the call is for nobody.
        refuse(identity, this.#refusal);
      }
      const headers = { ...request.headers, ...callerHeaders(this.#headers, request.headers) };
      refuseAsyncBundle(request, headers, identity);
      host.sending(identity);
      const described = request;
      const transmit = (who: Identity): Promise<TransportResponse> => {
        // From here on it is the membership that the check found, for this request and all that follow.
        identity = this.#identity = who;
        return host.transmit(described, this.#wire(described, headers, who), attempts);
      };
      const vetted = host.vet(identity);
      return (vetted ? vetted.then(transmit) : transmit(identity)).then(
        (response) => {
          const wrong = request?.check?.(response.body);
          if (wrong) {
            end(response, wrong);
            throw wrong;
          }
          if (response.body instanceof DownloadStream) {
            void response.body.finished.then((error) => end(response, error));
          } else {
            end(response);
          }
          return response;
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

  #wire(request: FhirRequest, headers: Readonly<Record<string, string>>, identity: Identity): TransportRequest {
    const { method, path, query, pathTemplate, body, repeatability, once, answer, maxBytes } = request;
    const given = this.#options.timeout ?? this.#host.timeout;
    return {
      method,
      path: query === '' ? path : `${path}?${query}`,
      call: `${method} ${pathTemplate}`,
      headers,
      body,
      repeatability,
      once,
      answer,
      maxBytes,
      onBehalfOf: identity.onBehalfOf,
      extended: this.#host.extended && request.extended !== false,
      signal: this.#options.signal,
      timeout: this.#timeout === 'whole' ? Math.max(1, given - (performance.now() - this.#start)) : given,
    };
  }
}

function refuse(identity: Identity | undefined, refusal: unknown): asserts identity {
  if (!identity || refusal !== undefined) {
    throw refusal;
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
