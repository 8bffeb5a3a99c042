import { randomUUID } from 'node:crypto';
import { type RequestedEntry, requestedEntries } from '../audit/bundle-summary';
import type { RequestFacts } from '../audit/recorded-request-event';
import { isMedplumError, type MedplumError } from '../errors/medplum.error';
import { MedplumBadRequestError, MedplumProtocolError } from '../errors/response.errors';
import type { FhirInteraction, FhirRequest } from '../fhir/fhir-request';
import { type ResponseProblem, responseProblem } from '../fhir/interactions';
import { checkPrefer } from '../fhir/prefer';
import type { CallSpan } from '../http/call-tracing';
import { DownloadStream } from '../http/download-stream';
import { markResponse } from '../http/response-error';
import type { RequestAttempt } from '../shared/request-attempt';
import type { TransportRequest, TransportResponse } from '../http/transport.types';
import type { Identity } from '../on-behalf-of/identity';
import { traceIdOf } from '../shared/trace-headers';
import { beforeRequest } from './before-request';
import type { CallContext } from './call-context';
import { isBatchable } from './read-batches';
import { traceHeaders, withHeaders } from './request-headers';

/** @internal One request of a call, from its description to its event. */
export class CallRequest {
  readonly #context: CallContext;
  readonly #interaction: FhirInteraction;
  readonly #span: CallSpan | undefined;
  readonly #startedAt = Date.now();
  readonly #start = performance.now();
  readonly #attempts: RequestAttempt[] = [];
  /** The sinks must have the records of the request before its caller has the response. */
  readonly #required: boolean;
  readonly #id: string | undefined;
  #identity: Identity | undefined;
  #request: FhirRequest | undefined;
  /** `#request` has all of its headers. */
  #isComplete = false;
  #entries: readonly RequestedEntry[] | undefined;

  /** @param span is told of the attempts when the call is traced. */
  constructor(context: CallContext, interaction: FhirInteraction, span?: CallSpan) {
    this.#context = context;
    this.#interaction = interaction;
    this.#span = span;
    this.#identity = context.identity;
    // Emergency access leaves no gap in the record, whatever the option `audit.mode` says.
    this.#required = context.identity?.source === 'break-glass' || context.connection.trail.requires(context.audited);
    this.#id = this.#required ? randomUUID() : undefined;
  }

  /** Describes, prepares, vets and sends the request. Rejects with a `MedplumError`; its event is published by then. */
  run(describe: () => FhirRequest): Promise<TransportResponse> {
    const { connection, audited } = this.#context;
    connection.trail.began(audited);
    try {
      const described = this.#describe(describe);
      const prepared = this.#prepare(described);
      return prepared instanceof Promise
        ? this.#context.within(prepared, described, this.#start).then(
            (request) => this.#vet(request),
            (cause: unknown) => this.#refused(cause),
          )
        : this.#vet(prepared);
    } catch (cause) {
      return this.#refused(cause);
    }
  }

  #describe(describe: () => FhirRequest): FhirRequest {
    try {
      this.#keep(describe());
    } finally {
      // When the arguments are wrong as well, a call without an identity still says that.
      refuse(this.#identity, this.#context.refusal);
    }
    const request = this.#request as FhirRequest;
    return this.#span || this.#context.addsHeaders ? withHeaders(request, this.#context, this.#span) : request;
  }

  /** Keeps what the event says of the request. */
  #keep(request: FhirRequest): void {
    const { entries } = request;
    if (entries !== this.#request?.entries) {
      this.#entries = entries && this.#context.connection.trail.isActive ? requestedEntries(entries) : undefined;
    }
    this.#request = request;
  }

  /** Runs the option `beforeRequest`. Signed addresses are credentials, so the hook does not see them. */
  #prepare(described: FhirRequest): FhirRequest | Promise<FhirRequest> {
    const { name, settings } = this.#context.connection;
    return settings.beforeRequest && !described.signedUrl
      ? beforeRequest(settings.beforeRequest, described, name, settings.baseUrl)
      : described;
  }

  /** Sends the request as the membership that the membership check finds. */
  #vet(request: FhirRequest): Promise<TransportResponse> {
    try {
      const { connection } = this.#context;
      this.#keep(request);
      this.#isComplete = true;
      refuse(this.#identity, undefined);
      if ('prefer' in request.headers) {
        checkPrefer(request, this.#identity.onBehalfOf);
      }
      connection.sending(this.#identity);
      const vetted = connection.vet(this.#identity);
      return vetted
        ? this.#context.within(vetted, request, this.#start).then(
            (found) => this.#sendAs(found, request),
            (error: unknown) => this.#refused(error),
          )
        : this.#sendAs(this.#identity, request);
    } catch (cause) {
      return this.#refused(cause);
    }
  }

  #sendAs(identity: Identity, request: FhirRequest): Promise<TransportResponse> {
    this.#identity = identity;
    this.#context.actAs(identity);
    const transmit = (): Promise<TransportResponse> =>
      this.#context.connection.transmit(request, this.#transported(request, identity), this.#attempts).then(
        (response) => this.#answered(request, response),
        (error: MedplumError) => this.#failed(undefined, error),
      );
    return this.#required && request.repeatability !== 'safe' ? this.#intend().then(transmit) : transmit();
  }

  #transported(request: FhirRequest, actingAs: Identity): TransportRequest {
    const {
      method,
      path,
      query,
      pathTemplate,
      operation,
      headers,
      body,
      repeatability,
      once,
      responseKind,
      notModified,
      maxBytes,
    } = request;
    const context = this.#context;
    const { onBehalfOf } = actingAs;
    const { signal, retry, batchReads = context.connection.settings.batchReads } = context.options;
    return {
      method,
      path: query === '' ? path : `${path}?${query}`,
      call: `${method} ${pathTemplate}`,
      operation,
      headers,
      body,
      repeatability,
      once,
      responseKind,
      notModified,
      maxBytes,
      onBehalfOf,
      extended: context.connection.settings.extended && request.extended !== false,
      batch: batchReads && isBatchable(request) ? this.#batch(actingAs) : undefined,
      retry,
      signal,
      disconnect: context.disconnectFor(repeatability),
      running: context.running,
      timeout: context.timeout,
      timeLeft: context.timeLeft(this.#start),
      turn: context.turnOf(request),
      span: this.#span,
    };
  }

  /** What the reads of a batch have in common: who makes them, by what right, and for which purpose. */
  #batch(identity: Identity): string {
    const { context, fromSink } = this.#context.audited;
    return JSON.stringify([identity, context, fromSink]);
  }

  /** Records that a write is about to be sent. */
  async #intend(): Promise<void> {
    const { connection, audited } = this.#context;
    const intent: RequestFacts = { ...this.#facts(), pending: true, effect: 'unknown', attempts: [] };
    try {
      await connection.trail.record(intent, undefined, audited, { retryable: true });
    } catch (error) {
      connection.trail.ended(audited);
      connection.trail.publish(this.#facts(undefined, error as MedplumError), undefined, audited);
      throw error;
    }
  }

  #answered(request: FhirRequest, response: TransportResponse): TransportResponse | Promise<TransportResponse> {
    const wrong = wrongResponse(request, response);
    if (wrong) {
      return this.#failed(response, wrong);
    }
    if (request.repeatability !== 'safe') {
      this.#context.wrote = true;
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
    // The record comes before the first byte, so it cannot say how the reading ended.
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
    // It may be the error of another request, such as one of the membership check.
    markResponse(error, false);
    const recorded = this.#end(undefined, error);
    // What another request met is in the log already.
    if (error.status === undefined) {
      this.#context.connection.refusals.note(error);
    }
    return fail(recorded, error);
  }

  #failed(response: TransportResponse | undefined, error: MedplumError): Promise<never> {
    const recorded = this.#end(response, error);
    if (!this.#context.logsItself) {
      this.#context.connection.refusals.note(error);
    }
    return fail(recorded, error);
  }

  /** Publishes the event. Returns a promise where the sinks must have accepted it before the call goes on. */
  #end(response?: TransportResponse, error?: MedplumError): Promise<void> | undefined {
    const { connection, audited } = this.#context;
    connection.trail.ended(audited);
    if (!error && !this.#required && !connection.trail.isActive) {
      return undefined;
    }
    const facts = this.#facts(response, error);
    const answer = response?.body;
    if (!this.#required) {
      connection.trail.publish(facts, answer, audited);
      return undefined;
    }
    const result = this.#request?.repeatability === 'safe' ? undefined : answer;
    return connection.trail.record(facts, answer, audited, { effect: facts.effect, result, callError: error });
  }

  /** What the event is made of. The error learns which request it is about. */
  #facts(response?: TransportResponse, error?: MedplumError): RequestFacts {
    const { connection, operationId, inbound, audited } = this.#context;
    const { name: client, settings } = connection;
    const request = this.#request;
    const identity = this.#identity;
    // The interaction fills in what refused arguments leave open.
    const { action, method, pathTemplate } = request ?? this.#interaction;
    const path = request ? `/${request.path}` : pathTemplate;
    const [onBehalfOf, identitySource] = [identity?.onBehalfOf, identity?.source];
    error?.attachRequest({ client, method, path, pathTemplate, onBehalfOf, identitySource });
    // Without an attempt, the error is about another request: that for a token, or that for the membership.
    const answered = this.#attempts.length > 0 ? (response ?? error) : undefined;
    return {
      id: this.#id,
      operationId,
      client,
      clientId: settings.clientId,
      baseUrl: settings.baseUrl.origin + settings.baseUrl.path,
      action,
      method,
      pathTemplate,
      path,
      query: request?.eventQuery ?? request?.query ?? '',
      resourceType: request?.resourceType,
      resourceId: request?.resourceId,
      operation: request?.operation,
      onBehalfOf,
      identitySource,
      reason: identity?.reason,
      afterScope: this.#context.afterScope || undefined,
      delegated: identity?.delegation ? true : undefined,
      delegation: identity?.delegation?.token,
      startedAt: this.#startedAt,
      durationMs: performance.now() - this.#start,
      attempts: this.#attempts,
      status: answered?.status,
      requestId: answered?.requestId,
      effect: error?.effect ?? (request?.repeatability === 'safe' ? 'none' : 'happened'),
      error,
      inboundRequestId: inbound?.trace?.['x-request-id'],
      traceId: this.#traceId(),
      context: audited.context,
      entries: this.#entries,
    };
  }

  /** The trace that the request belongs to. A request refused before it had all of its headers has those known so far. */
  #traceId(): string | undefined {
    if (!this.#isComplete || !this.#request) {
      return traceIdOf({ ...traceHeaders(this.#context, this.#span), ...this.#context.headers });
    }
    const { headers } = this.#request;
    return 'traceparent' in headers || 'x-trace-id' in headers ? traceIdOf(headers) : undefined;
  }
}

/** Why a response of success is an error for the caller, if it is. */
function wrongResponse(request: FhirRequest, { status, body }: TransportResponse): MedplumError | undefined {
  const isSafe = request.repeatability === 'safe';
  let problem: ResponseProblem | undefined;
  try {
    problem = responseProblem(request, body);
    if (!problem) {
      return request.check?.(body);
    }
  } catch (cause) {
    return new MedplumProtocolError(
      `${request.method} ${request.pathTemplate} was answered with ${status}, but the response cannot be read. Check the proxies between the app and Medplum.`,
      { status, effect: isSafe ? 'none' : 'unknown', cause },
    );
  }
  // The status says nothing about the entries of a bundle, or about what an operation did.
  const isOne = request.expects === 'instance' || request.expects === 'resource';
  const done = problem.isEmpty && isOne ? 'happened' : 'unknown';
  return new MedplumProtocolError(
    `${request.method} ${request.pathTemplate} was answered with ${status}, but the response ${problem.text}. Check the proxies between the app and Medplum.`,
    { status, effect: isSafe ? 'none' : done },
  );
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
