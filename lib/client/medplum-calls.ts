import { OnBehalfOfReferenceError } from '../errors/on-behalf-of.errors';
import type { FhirInteraction, FhirRequest } from '../fhir/fhir-request';
import type { BaseUrl } from '../http/base-url';
import type { MedplumConnection } from '../medplum-connection';
import type { MedplumRequestOptions } from '../medplum-request.options';
import { clientApplicationIdentity } from '../on-behalf-of/identity';
import type { IdentityResolver } from '../on-behalf-of/identity-resolver';
import type { PinnedCall, Pinning, PinOptions } from '../pinned-call';

const AS_CLIENT: Pinning = {
  pin(call) {
    if ('onBehalfOf' in call && call.onBehalfOf !== '') {
      throw new OnBehalfOfReferenceError(
        'Memberships are managed as the client itself, for nobody: leave onBehalfOf out. Nothing was sent.',
      );
    }
    return clientApplicationIdentity('memberships');
  },
};

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

  /** The same for a method that is always called as the client itself, and never for anybody. */
  pinAsClient(options: MedplumRequestOptions, pin?: PinOptions): PinnedCall {
    return this.connection.pin({ pin: AS_CLIENT.pin, inbound: this.identity.inbound }, options, pin);
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
