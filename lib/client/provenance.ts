import type { ClientCalls } from '../calls/call';
import type { ProvenanceFacts } from '../fhir/provenance';
import type { Identity } from '../on-behalf-of/identity';
import type { MedplumTransactionOptions } from './client.options';

/** @internal Who a transaction acts as here, and why. `undefined` when nobody asks for it, or when the call will be refused. */
export function provenanceOf(
  { connection, identity }: ClientCalls,
  options: MedplumTransactionOptions,
): ProvenanceFacts | undefined {
  if ((Object(options) as MedplumTransactionOptions).provenance !== true) {
    return undefined;
  }
  let acting: Identity;
  try {
    acting = identity.pin(options);
  } catch {
    return undefined;
  }
  const { baseUrl, clientId } = connection.settings;
  const { onBehalfOf, actor, reason } = acting;
  const { purposeOfUse } = identity.scope.current?.identity ?? {};
  const address = baseUrl.origin + baseUrl.path;
  return { baseUrl: address, clientId, onBehalfOf, actor, purposeOfUse, reason, recorded: new Date() };
}
