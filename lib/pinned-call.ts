import { randomUUID } from 'node:crypto';
import { traceIdOf } from './audit/audit-context';
import type { AuditedCall, AuditTrail } from './audit/audit-trail';
import { requestedEntries, type RequestedEntry } from './audit/bundle-summary';
import type { RequestFacts } from './audit/recorded-request-event';
import { callFacts } from './call-facts';
import { isMedplumError, type MedplumError } from './errors/medplum.error';
import { MedplumBadRequestError } from './errors/response.errors';
import type { FhirInteraction, FhirRequest } from './fhir/fhir-request';
import type { BaseUrl } from './http/base-url';
import type { CallSpan, CallSpanStart, CallTracing } from './http/call-tracing';
import { callerHeaders } from './http/caller-headers';
import { DownloadStream } from './http/download-stream';
import type { TransportRequest, TransportResponse } from './http/transport.types';
import type { RequestAttempt } from './http/request-attempt';
import { checkRequestOptions, type MedplumRequestOptions } from './medplum-request.options';
import type { Identity } from './on-behalf-of/identity';
import type { IdentityResolver } from './on-behalf-of/identity-resolver';
import { traced } from './traced-call';

/** @internal What a pinned call needs of its connection. */
export interface CallHost {
  readonly name: string;
  readonly clientId: string;
  readonly baseUrl: BaseUrl;
  readonly trail: AuditTrail;
  readonly tracing: CallTracing;
  /** Default time limit of a call, in ms. */
  readonly timeout: number;
  readonly extended: boolean;
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
  readonly #audited: AuditedCall;
  readonly #startSpan: CallSpanStart | undefined;
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
    this.#audited = host.trail.capture();
    this.#startSpan = host.tracing.tracer?.pin();
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
  body(interaction: FhirInteraction, describe: () => FhirRequest): Promise<unknown> {
    return this.send(interaction, describe).then(({ body }) => body);
  }

  /**
   * Makes one request and publishes its event.
   *
   * @param interaction what the event says of the request when its arguments are refused.
   * @param describe reads the arguments; it may throw.
   */
  send(interaction: FhirInteraction, describe: () => FhirRequest): Promise<TransportResponse> {
    const start = this.#startSpan;
    if (!start) {
      return this.#send(interaction, describe, undefined);
    }
    const { name: client, baseUrl } = this.#host;
    return traced(start, {
      client,
      origin: baseUrl.origin,
      identitySource: this.#identity?.source,
      interaction,
      describe,
      send: (described, span) => this.#send(interaction, described, span),
    });
  }

  #send(
    interaction: FhirInteraction,
    describe: () => FhirRequest,
    span: CallSpan | undefined,
  ): Promise<TransportResponse> {
    const startedAt = Date.now();
    const start = performance.now();
    const attempts: RequestAttempt[] = [];
    const host = this.#host;
    let identity = this.#identity;
    let request: FhirRequest | undefined;
    let entries: readonly RequestedEntry[] | undefined;
    const given = this.#givenHeaders(span);
    const { trail } = host;
    const audited = this.#audited;
    const required = trail.requires(audited);
    const id = required ? randomUUID() : undefined;
    const facts = (response?: TransportResponse, error?: MedplumError): RequestFacts => {
      return callFacts(
        host,
        {
          id,
          operationId: (this.#operationId ??= randomUUID()),
          interaction,
          request,
          identity,
          headers: given,
          attempts,
          entries,
          context: audited.context,
          startedAt,
          durationMs: performance.now() - start,
        },
        response,
        error,
      );
    };
    /** Publishes the event; the result is there when the sinks have it, where they must. */
    const end = (response?: TransportResponse, error?: MedplumError): Promise<void> | undefined => {
      trail.ended(audited);
      if (!error && !trail.isActive) {
        return undefined;
      }
      const known = facts(response, error);
      if (!required) {
        trail.publish(known, audited);
        return undefined;
      }
      const result = request?.repeatability === 'safe' ? undefined : response?.body;
      return trail.record(known, audited, { effect: known.effect, result, callError: error });
    };
    const transmit = (described: FhirRequest, headers: Readonly<Record<string, string>>, who: Identity) =>
      host.transmit(described, this.#wire(described, headers, who, required ? start : undefined, span), attempts).then(
        (response) => {
          const wrong = described.check?.(response.body);
          if (wrong) {
            return fail(end(response, wrong), wrong);
          }
          const { body } = response;
          if (!(body instanceof DownloadStream)) {
            const recorded = end(response);
            return recorded ? after(recorded, response) : response;
          }
          if (!required) {
            void body.finished.then((error) => end(response, error));
            return response;
          }
          // The record comes before the first byte, so that it cannot tell how the reading ended.
          return after(end(response), response).catch((error: unknown) => {
            body.on('error', () => undefined).destroy();
            throw error;
          });
        },
        (error: MedplumError) => fail(end(undefined, error), error),
      );
    trail.began(audited);
    try {
      try {
        request = describe();
        entries = request.entries && trail.isActive ? requestedEntries(request.entries) : undefined;
      } finally {
        // Arguments that are wrong as well do not hide that the call is for nobody.
        refuse(identity, this.#refusal);
      }
      const headers = given ? { ...request.headers, ...callerHeaders(given, request.headers) } : request.headers;
      refuseAsyncBundle(request, headers, identity);
      host.sending(identity);
      const described = request;
      const send = (who: Identity): Promise<TransportResponse> => {
        // From here on it is the membership that the check found, for this request and all that follow.
        identity = this.#identity = who;
        if (!required || described.repeatability === 'safe') {
          return transmit(described, headers, who);
        }
        const intent: RequestFacts = { ...facts(), pending: true, effect: 'unknown', attempts: [] };
        return trail.record(intent, audited, { retryable: true }).then(
          () => transmit(described, headers, who),
          (error: MedplumError) => {
            trail.ended(audited);
            trail.publish(facts(undefined, error), audited);
            throw error;
          },
        );
      };
      const vetted = host.vet(identity);
      return vetted ? vetted.then(send, (error: MedplumError) => fail(end(undefined, error), error)) : send(identity);
    } catch (cause) {
      const error = isMedplumError(cause)
        ? cause
        : new MedplumBadRequestError('The arguments of the call cannot be read. Nothing was sent.', { cause });
      return fail(end(undefined, error), error);
    }
  }

  /** @param began when the request began, if waiting for its records counts. */
  #wire(
    request: FhirRequest,
    headers: Readonly<Record<string, string>>,
    identity: Identity,
    began: number | undefined,
    span: CallSpan | undefined,
  ): TransportRequest {
    const { method, path, query, pathTemplate, body, repeatability, once, answer, maxBytes } = request;
    const given = this.#options.timeout ?? this.#host.timeout;
    const from = this.#timeout === 'whole' ? this.#start : began;
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
      retry: this.#options.retry,
      signal: this.#options.signal,
      timeout: from === undefined ? given : Math.max(1, given - (performance.now() - from)),
      span,
    };
  }

  /** What goes with the request beside its own headers: a trace that the caller names is left alone. */
  #givenHeaders(span: CallSpan | undefined): Readonly<Record<string, string>> | undefined {
    const headers = this.#headers;
    const named = headers && ('traceparent' in headers || traceIdOf(headers) !== undefined);
    return span && !named ? { ...span.headers, ...headers } : headers;
  }
}

/** `value`, once it is recorded. */
async function after<T>(recorded: Promise<void> | undefined, value: T): Promise<T> {
  await recorded;
  return value;
}

/** Throws `error`, once it is recorded. */
async function fail(recorded: Promise<void> | undefined, error: unknown): Promise<never> {
  await recorded;
  throw error;
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
