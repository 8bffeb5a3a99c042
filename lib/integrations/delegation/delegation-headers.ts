import type { DelegateOptions } from '../../client/delegations';
import type { MedplumService } from '../../medplum.service';

/** The header that carries a token between services, over HTTP and in the headers of messages. */
export const DELEGATION_HEADER = 'x-medplum-delegation';

/** Headers with a token. */
export interface DelegationHeaders {
  /** The token. */
  readonly [DELEGATION_HEADER]: string;
}

/** What a token for one request or message is for. */
export interface DelegationHeaderOptions extends Pick<DelegateOptions, 'audience'> {
  /** How long the token can be used, in ms. Default 60,000. */
  readonly expiresIn?: number | undefined;
}

/** @internal */
export const MESSAGE_LIFE = 60_000;

/**
 * Headers that hand the identity of this place over to another service. The token in them can be used once, so make new
 * ones for each request, and for each time that you repeat it. The header leaves `Authorization` to the services, which
 * have to authenticate to each other all the same.
 *
 * @throws OnBehalfOfRequiredError and DelegationError as `MedplumService.delegate` does.
 * @example
 * ```ts
 * await fetch(url, { headers: await delegationHeaders(medplum, { audience: 'reports' }) });
 * ```
 */
export async function delegationHeaders(
  medplum: Pick<MedplumService, 'delegate'>,
  { audience, expiresIn = MESSAGE_LIFE }: DelegationHeaderOptions,
): Promise<DelegationHeaders> {
  return { [DELEGATION_HEADER]: await medplum.delegate({ audience, expiresIn }) };
}
