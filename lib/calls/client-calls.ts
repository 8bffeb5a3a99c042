import type { FhirInteraction, FhirRequest } from '../fhir/fhir-request';
import type { IdentityResolver } from '../on-behalf-of/identity-resolver';
import { Call } from './call';
import type { CallIdentitySource, OptionUse } from './call-context';
import type { MedplumConnection } from './connection';
import type { MedplumRequestOptions } from './request.options';

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
