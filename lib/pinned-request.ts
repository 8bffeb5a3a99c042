import { randomUUID } from 'node:crypto';
import { traceIdOf } from './audit/audit-context';
import type { AuditedCall } from './audit/audit-trail';
import { requestedEntries, type RequestedEntry } from './audit/bundle-summary';
import type { RequestFacts } from './audit/recorded-request-event';
import { beforeRequest, type DescribedRequest } from './before-request';
import { callFacts } from './call-facts';
import type { CallHost } from './call-host';
import { isMedplumError, type MedplumError } from './errors/medplum.error';
import { MedplumBadRequestError } from './errors/response.errors';
import type { FhirInteraction, FhirRequest } from './fhir/fhir-request';
import type { CallSpan } from './http/call-tracing';
import { callerHeaders } from './http/caller-headers';
import { cancelledError } from './http/cancelled-error';
import { Cancelled, Deadline } from './http/deadline';
import { DownloadStream } from './http/download-stream';
import type { RequestAttempt } from './http/request-attempt';
import type { TransportRequest, TransportResponse } from './http/transport.types';
import type { MedplumRequestOptions } from './medplum-request.options';
import type { Identity } from './on-behalf-of/identity';
import type { InboundRequest } from './on-behalf-of/inbound-request';

/** @internal What was fixed when a method was called, for all requests that it makes. */
export interface PinnedState {
  readonly host: CallHost;
  readonly options: MedplumRequestOptions;
  /** Those of the caller, with lower-case names. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  /** The HTTP request that the caller serves. */
  readonly inbound: InboundRequest | undefined;
  readonly audited: AuditedCall;
  /** When the method was called, by the monotonic clock, if its timeout is for all of its requests together. */
  readonly wholeSince: number | undefined;
  /** Why no request of the method is made. */
  readonly refusal: unknown;
  /** Whom the requests are made for; `undefined`: for nobody, which is refused. */
  identity: Identity | undefined;
  readonly operationId: string;
}

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
        ? this.#within(prepared, described.request).then(
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
    return { request, headers: this.#headersOf(request) };
  }

  /** Keeps what the event says of the request. */
  #take(request: FhirRequest): void {
    const { entries } = request;
    this.#request = request;
    this.#entries = entries && this.#pinned.host.trail.isActive ? requestedEntries(entries) : undefined;
  }

  /** All headers but those of the library. Those of the client and of the inbound request give way to the others. */
  #headersOf(request: FhirRequest): Readonly<Record<string, string>> {
    const { host, headers } = this.#pinned;
    const trace = this.#traceHeaders();
    if (host.logTag === undefined && !trace && !headers) {
      return request.headers;
    }
    return {
      ...(host.logTag === undefined ? undefined : { 'x-medplum-log-tag': host.logTag }),
      ...trace,
      ...request.headers,
      ...(headers && callerHeaders(headers, request.headers)),
    };
  }

  /** What tells the server which trace, and which inbound request, it serves. A trace that the caller names is left alone. */
  #traceHeaders(): Readonly<Record<string, string>> | undefined {
    const { inbound, headers } = this.#pinned;
    const known = inbound?.trace;
    if (headers && ('traceparent' in headers || traceIdOf(headers) !== undefined)) {
      const { traceparent: _named, ...others } = known ?? {};
      return others;
    }
    return this.#span ? { ...known, ...this.#span.headers } : known;
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
      refuseAsyncBundle(request, headers, this.#identity);
      host.sending(this.#identity);
      const vetted = host.vet(this.#identity);
      return vetted
        ? this.#within(vetted, request).then(
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
      headers: this.#headers ?? { ...this.#traceHeaders(), ...this.#pinned.headers },
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
      disconnect: this.#disconnectOf(request),
      running: this.#running,
      timeout: options.timeout ?? host.timeout,
      timeLeft: this.#timeLeft,
      span: this.#span,
    };
  }

  /** `work` that comes before the request is sent, within the limits of the call. */
  async #within<T>(work: Promise<T>, request: FhirRequest): Promise<T> {
    const { host, options } = this.#pinned;
    const deadline = new Deadline(this.#timeLeft, options.signal, this.#disconnectOf(request), this.#running);
    try {
      return await deadline.race(work);
    } catch (cause) {
      if (!(cause instanceof Cancelled)) {
        throw cause;
      }
      const late = `could not be sent within its timeout of ${options.timeout ?? host.timeout} ms.`;
      const retryable = cause.reason === 'timeout' || cause.reason === 'shutdown';
      throw cancelledError(cause.reason, `${request.method} ${request.pathTemplate}`, late, { retryable });
    } finally {
      deadline.dispose();
    }
  }

  /** In ms. All waiting counts. */
  get #timeLeft(): number {
    const { host, options, wholeSince } = this.#pinned;
    return Math.max(1, (options.timeout ?? host.timeout) - (performance.now() - (wholeSince ?? this.#start)));
  }

  /** Where the call is noted to be ended at shutdown. Sinks are flushed later than that. */
  get #running(): Set<Deadline> | undefined {
    const { host, audited } = this.#pinned;
    return audited.fromSink ? undefined : host.running;
  }

  /** A write is finished whoever has gone away. */
  #disconnectOf({ repeatability }: FhirRequest): AbortSignal | undefined {
    const { host, inbound } = this.#pinned;
    return host.abortOnDisconnect && repeatability === 'safe' ? inbound?.disconnect : undefined;
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
