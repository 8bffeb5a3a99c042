import { randomUUID } from 'node:crypto';
import type { AuditedCall } from './audit/audit-trail';
import type { CallHost } from './call-host';
import type { FhirInteraction, FhirRequest } from './fhir/fhir-request';
import type { CallSpanStart } from './http/call-tracing';
import { callerHeaders } from './http/caller-headers';
import type { TransportResponse } from './http/transport.types';
import { checkRequestOptions, type MedplumRequestOptions } from './medplum-request.options';
import type { Identity } from './on-behalf-of/identity';
import type { IdentityResolver } from './on-behalf-of/identity-resolver';
import type { InboundRequest } from './on-behalf-of/inbound-request';
import { PinnedRequest } from './pinned-request';
import type { PinnedState } from './pinned-state';
import { pauseWithin } from './call-limits';
import { traced } from './traced-call';

/** @internal Says whom a method is called for, and which HTTP request that serves. */
export type Pinning = Pick<IdentityResolver, 'pin'> & Partial<Pick<IdentityResolver, 'inbound'>>;

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
export class PinnedCall implements PinnedState {
  readonly host: CallHost;
  readonly options: MedplumRequestOptions;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly inbound: InboundRequest | undefined;
  readonly audited: AuditedCall;
  readonly wholeSince: number | undefined;
  readonly refusal: unknown;
  identity: Identity | undefined;
  readonly #startSpan: CallSpanStart | undefined;
  #operationId: string | undefined;

  /** Never throws: what is wrong is the error, and the event, of the first request. */
  constructor(host: CallHost, pinning: Pinning, options: MedplumRequestOptions, pin: PinOptions = {}) {
    this.host = host;
    this.options = options;
    this.inbound = pinning.inbound;
    this.wholeSince = pin.timeout === 'whole' ? performance.now() : undefined;
    this.audited = host.trail.capture();
    this.#startSpan = host.tracing.tracer?.pin();
    try {
      checkRequestOptions(options, pin.further);
      this.options = { ...options };
      this.identity = pinning.pin(options);
      this.headers = options.headers && callerHeaders(options.headers);
    } catch (cause) {
      this.refusal = cause;
    }
  }

  /**
   * Waits between two requests, for `ms`.
   *
   * @param what how error texts name it.
   * @throws MedplumAbortError, MedplumConnectionError when the call is given up meanwhile.
   */
  pause(ms: number, what: string): Promise<void> {
    return pauseWithin(ms, what, this);
  }

  get operationId(): string {
    return (this.#operationId ??= randomUUID());
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
      return new PinnedRequest(this, interaction).send(describe);
    }
    const { name: client, baseUrl } = this.host;
    return traced(start, {
      client,
      origin: baseUrl.origin,
      identitySource: this.identity?.source,
      interaction,
      describe,
      send: (described, span) => new PinnedRequest(this, interaction, span).send(described),
    });
  }
}
