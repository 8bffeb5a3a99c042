import { randomUUID } from 'node:crypto';
import { requestedEntries, type RequestedEntry } from './audit/bundle-summary';
import type { RequestFacts } from './audit/recorded-request-event';
import { beforeRequest, type DescribedRequest } from './before-request';
import { callFacts } from './call-facts';
import { disconnectOf, runningCalls, timeLeft, withinLimits } from './call-limits';
import { isMedplumError, type MedplumError } from './errors/medplum.error';
import { MedplumBadRequestError } from './errors/response.errors';
import { refuseAsyncBundle } from './fhir/bundles';
import type { FhirInteraction, FhirRequest } from './fhir/fhir-request';
import type { CallSpan } from './http/call-tracing';
import { DownloadStream } from './http/download-stream';
import type { RequestAttempt } from './http/request-attempt';
import type { TransportRequest, TransportResponse } from './http/transport.types';
import type { Identity } from './on-behalf-of/identity';
import type { PinnedState } from './pinned-state';
import { requestHeaders, traceHeaders } from './request-headers';

/** @internal One request of a pinned call, from its description to its event. */
export class PinnedRequest {
  readonly #pinned: PinnedState;
  readonly #interaction: FhirInteraction;
  readonly #span: CallSpan | undefined;
  readonly #startedAt = Date.now();
  readonly #start = performance.now();
  readonly #attempts: RequestAttempt[] = [];
  /** The sinks must have the records of the request before its caller has the answer. */
  readonly #required: boolean;
  readonly #id: string | undefined;
  #identity: Identity | undefined;
  #request: FhirRequest | undefined;
  /** Known once the request is described. */
  #headers: Readonly<Record<string, string>> | undefined;
  #entries: readonly RequestedEntry[] | undefined;

  /** @param span hears of the attempts, when the call is traced. */
  constructor(pinned: PinnedState, interaction: FhirInteraction, span?: CallSpan) {
    this.#pinned = pinned;
    this.#interaction = interaction;
    this.#span = span;
    this.#identity = pinned.identity;
    this.#required = pinned.host.trail.requires(pinned.audited);
    this.#id = this.#required ? randomUUID() : undefined;
  }

  /** Rejects with a `MedplumError`; its event is published by then. */
  send(describe: () => FhirRequest): Promise<TransportResponse> {
    const { host, audited } = this.#pinned;
    host.trail.began(audited);
    try {
      const described = this.#describe(describe);
      const prepared = this.#prepare(described);
      return prepared instanceof Promise
        ? withinLimits(prepared, described.request, this.#pinned, this.#start).then(
            (changed) => this.#proceed(changed),
            (cause: unknown) => this.#refused(cause),
          )
        : this.#proceed(prepared);
    } catch (cause) {
      return this.#refused(cause);
    }
  }

  #describe(describe: () => FhirRequest): DescribedRequest {
    try {
      this.#take(describe());
    } finally {
      // Arguments that are wrong as well do not hide that the call is for nobody.
      refuse(this.#identity, this.#pinned.refusal);
    }
    const request = this.#request as FhirRequest;
    return { request, headers: requestHeaders(request, this.#pinned, this.#span) };
  }

  /** Keeps what the event says of the request. */
  #take(request: FhirRequest): void {
    const { entries } = request;
    this.#request = request;
    this.#entries = entries && this.#pinned.host.trail.isActive ? requestedEntries(entries) : undefined;
  }

  /** What the option `beforeRequest` makes of it. Signed addresses are credentials: they are not shown to it. */
  #prepare(described: DescribedRequest): DescribedRequest | Promise<DescribedRequest> {
    const { host } = this.#pinned;
    return host.beforeRequest && !described.request.signedUrl
      ? beforeRequest(host.beforeRequest, described, host)
      : described;
  }

  /** Sends what was described, as whom the membership check finds. */
  #proceed({ request, headers }: DescribedRequest): Promise<TransportResponse> {
    try {
      const { host } = this.#pinned;
      if (request !== this.#request) {
        this.#take(request);
      }
      this.#headers = headers;
      refuse(this.#identity, undefined);
      refuseAsyncBundle(request, headers, this.#identity.onBehalfOf);
      host.sending(this.#identity);
      const vetted = host.vet(this.#identity);
      return vetted
        ? withinLimits(vetted, request, this.#pinned, this.#start).then(
            (found) => this.#sendAs(found, request, headers),
            (error: unknown) => this.#refused(error),
          )
        : this.#sendAs(this.#identity, request, headers);
    } catch (cause) {
      return this.#refused(cause);
    }
  }

  #sendAs(
    identity: Identity,
    request: FhirRequest,
    headers: Readonly<Record<string, string>>,
  ): Promise<TransportResponse> {
    // From here on it is the membership that the check found, for this request and all that follow.
    this.#identity = this.#pinned.identity = identity;
    const transmit = (): Promise<TransportResponse> =>
      this.#pinned.host.transmit(request, this.#wire(request, headers, identity), this.#attempts).then(
        (response) => this.#answered(request, response),
        (error: MedplumError) => fail(this.#end(undefined, error), error),
      );
    return this.#required && request.repeatability !== 'safe' ? this.#intend().then(transmit) : transmit();
  }

  /** Records that a write is about to be sent. */
  async #intend(): Promise<void> {
    const { host, audited } = this.#pinned;
    const intent: RequestFacts = { ...this.#facts(), pending: true, effect: 'unknown', attempts: [] };
    try {
      await host.trail.record(intent, audited, { retryable: true });
    } catch (error) {
      host.trail.ended(audited);
      host.trail.publish(this.#facts(undefined, error as MedplumError), audited);
      throw error;
    }
  }

  #answered(request: FhirRequest, response: TransportResponse): TransportResponse | Promise<TransportResponse> {
    const wrong = request.check?.(response.body);
    if (wrong) {
      return fail(this.#end(response, wrong), wrong);
    }
    const { body } = response;
    if (!(body instanceof DownloadStream)) {
      const recorded = this.#end(response);
      return recorded ? recorded.then(() => response) : response;
    }
    if (!this.#required) {
      void body.finished.then((error) => this.#end(response, error));
      return response;
    }
    // The record comes before the first byte, so that it cannot tell how the reading ended.
    return Promise.resolve(this.#end(response)).then(
      () => response,
      (error: unknown) => {
        body.on('error', () => undefined).destroy();
        throw error;
      },
    );
  }

  #refused(cause: unknown): Promise<never> {
    const error = isMedplumError(cause)
      ? cause
      : new MedplumBadRequestError('The arguments of the call cannot be read. Nothing was sent.', { cause });
    return fail(this.#end(undefined, error), error);
  }

  /** Publishes the event. Where the sinks must have it, the result is a promise of that. */
  #end(response?: TransportResponse, error?: MedplumError): Promise<void> | undefined {
    const { host, audited } = this.#pinned;
    host.trail.ended(audited);
    if (!error && !host.trail.isActive) {
      return undefined;
    }
    const known = this.#facts(response, error);
    if (!this.#required) {
      host.trail.publish(known, audited);
      return undefined;
    }
    const result = this.#request?.repeatability === 'safe' ? undefined : response?.body;
    return host.trail.record(known, audited, { effect: known.effect, result, callError: error });
  }

  #facts(response?: TransportResponse, error?: MedplumError): RequestFacts {
    const { host, operationId, inbound, audited } = this.#pinned;
    const known = {
      id: this.#id,
      operationId,
      interaction: this.#interaction,
      request: this.#request,
      identity: this.#identity,
      headers: this.#headers ?? { ...traceHeaders(this.#pinned, this.#span), ...this.#pinned.headers },
      inboundRequestId: inbound?.trace?.['x-request-id'],
      attempts: this.#attempts,
      entries: this.#entries,
      context: audited.context,
      startedAt: this.#startedAt,
      durationMs: performance.now() - this.#start,
    };
    return callFacts(host, known, response, error);
  }

  #wire(request: FhirRequest, headers: Readonly<Record<string, string>>, { onBehalfOf }: Identity): TransportRequest {
    const { method, path, query, pathTemplate, body, repeatability, once, answer, notModified, maxBytes } = request;
    const { host, options } = this.#pinned;
    return {
      method,
      path: query === '' ? path : `${path}?${query}`,
      call: `${method} ${pathTemplate}`,
      headers,
      body,
      repeatability,
      once,
      answer,
      notModified,
      maxBytes,
      onBehalfOf,
      extended: host.extended && request.extended !== false,
      retry: options.retry,
      signal: options.signal,
      disconnect: disconnectOf(request, this.#pinned),
      running: runningCalls(this.#pinned),
      timeout: options.timeout ?? host.timeout,
      timeLeft: timeLeft(this.#pinned, this.#start),
      span: this.#span,
    };
  }
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
