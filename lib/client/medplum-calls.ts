import type { FhirInteraction, FhirRequest } from '../fhir/fhir-request';
import type { BaseUrl } from '../http/base-url';
import type { MedplumConnection } from '../medplum-connection';
import type { MedplumRequestOptions } from '../medplum-request.options';
import type { IdentityResolver } from '../on-behalf-of/identity-resolver';
import type { PinnedCall, PinOptions } from '../pinned-call';

/** @internal A connection and the rules of identity that are used on it: what all parts of a client share. */
export class MedplumCalls {
  constructor(
    readonly connection: MedplumConnection,
    readonly identity: IdentityResolver,
  ) {}

  /** Where the server is. */
  get baseUrl(): BaseUrl {
    return this.connection.baseUrl;
  }

  /** Fixes whom a method is called for. To be called first, before anything is awaited. */
  pin(options: MedplumRequestOptions, pin?: PinOptions): PinnedCall {
    return this.connection.pin(this.identity, options, pin);
  }

  /** A method that makes one request: the body of its answer, as the type that the method promises. */
  request<T>(
    interaction: FhirInteraction,
    describe: () => FhirRequest,
    options: MedplumRequestOptions,
    pin?: PinOptions,
  ): Promise<T> {
    return this.pin(options, pin).body(interaction, describe) as Promise<T>;
  }
}
