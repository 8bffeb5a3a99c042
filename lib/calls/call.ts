import { isMedplumError } from '../errors/medplum.error';
import type { FhirInteraction, FhirRequest } from '../fhir/fhir-request';
import type { CallSpanStart } from '../http/call-tracing';
import type { TransportResponse } from '../http/transport.types';
import type { IdentityResolver } from '../on-behalf-of/identity-resolver';
import { CallContext, type CallIdentitySource, type OptionUse } from './call-context';
import { CallRequest } from './call-request';
import type { MedplumConnection } from './connection';
import type { MedplumRequestOptions } from './request.options';
import { traced } from './traced-call';

/**
 * @internal One use of a public method: an identity that is fixed when the method is called, and the requests made with
 * it, one after the other. Each request publishes its own event; all of them share an `operationId`.
 */
export class Call {
  readonly #context: CallContext;
  readonly #startSpan: CallSpanStart | undefined;

  /** Create it first, before anything is awaited. Never throws: what is wrong becomes the error of the first request. */
  constructor(
    connection: MedplumConnection,
    identity: CallIdentitySource,
    options: MedplumRequestOptions,
    use?: OptionUse,
  ) {
    this.#context = new CallContext(connection, identity, options, use);
    this.#startSpan = connection.tracing.tracer?.pin();
  }

  /** Waits between two requests: see {@link CallContext.pause}. */
  pause(ms: number, what: string): Promise<void> {
    return this.#context.pause(ms, what);
  }

  /**
   * For a method that makes several requests: when a later one fails after an earlier one has written, the error says
   * that the method had an effect, and that the caller may not make the same call again.
   */
  async whole<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (this.#context.wrote && isMedplumError(error) && error.effect === 'none') {
        Object.assign(error, { effect: 'happened', retryable: false });
      }
      throw error;
    }
  }

  /** The body of the response to {@link Call.send}. */
  body(interaction: FhirInteraction, describe: () => FhirRequest): Promise<unknown> {
    return this.send(interaction, describe).then(({ body }) => body);
  }

  /**
   * Sends one request and publishes its event.
   *
   * @param interaction what the event says of the request when its arguments are refused.
   * @param describe reads the arguments; it may throw.
   */
  send(interaction: FhirInteraction, describe: () => FhirRequest): Promise<TransportResponse> {
    const start = this.#startSpan;
    return start
      ? traced(start, this.#context, interaction, describe)
      : new CallRequest(this.#context, interaction).run(describe);
  }
}

/** @internal A connection and the identity rules that apply on it: what a service and its groups share. */
export class ClientCalls {
  constructor(
    readonly connection: MedplumConnection,
    readonly identity: IdentityResolver,
  ) {}

  /** Fixes who a method acts as. Call it first, before anything is awaited. */
  begin(options: MedplumRequestOptions, use?: OptionUse, identity: CallIdentitySource = this.identity): Call {
    return new Call(this.connection, identity, options, use);
  }

  /** For a method that sends one request: the body of the response, as the type that the method promises. */
  body<T>(
    interaction: FhirInteraction,
    describe: () => FhirRequest,
    options: MedplumRequestOptions,
    use?: OptionUse,
  ): Promise<T> {
    return this.begin(options, use).body(interaction, describe) as Promise<T>;
  }
}
