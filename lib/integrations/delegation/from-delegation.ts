import { type ExecutionContext, Inject, Injectable, type Type } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { RunDelegatedOptions } from '../../client/delegations';
import { getMedplumToken } from '../../medplum.tokens';
import { DEFAULT_CLIENT } from '../../on-behalf-of/on-behalf-of.registry';
import { type OnBehalfOfResolver, requestOf } from '../../on-behalf-of/on-behalf-of.source';
import type { OnBehalfOfInput } from '../../on-behalf-of/on-behalf-of.reference';
import { DELEGATION_FIELD } from './delegated-client';
import { DELEGATION_HEADER } from './delegation-headers';

/** Options of {@link fromDelegation}. */
export interface FromDelegationOptions extends Pick<RunDelegatedOptions, 'audience'> {
  /**
   * Finds the token. Default: the header `x-medplum-delegation` over HTTP and GraphQL, and in a message the field that
   * {@link delegatedClient} adds. That field is taken out of the message before the handler gets it.
   */
  readonly token?: ((context: ExecutionContext) => string | undefined) | undefined;
}

/**
 * A source for `@OnBehalfOf()` that verifies a token: the handler acts as whoever called it from another service, with
 * {@link delegationHeaders} or {@link delegatedClient}. A token can be used once. Without a valid one, the request is
 * refused before the handler runs: over HTTP with 401, or 403 when the membership is refused.
 *
 * @example
 * ```ts
 * @OnBehalfOf(fromDelegation({ audience: 'reports' }))
 * ```
 */
export function fromDelegation({ audience, token = tokenOf }: FromDelegationOptions = {}): Type<OnBehalfOfResolver> {
  @Injectable()
  class DelegationResolver implements OnBehalfOfResolver {
    readonly #moduleRef: ModuleRef;

    constructor(@Inject(ModuleRef) moduleRef: ModuleRef) {
      this.#moduleRef = moduleRef;
    }

    resolve(context: ExecutionContext, client: string): Promise<OnBehalfOfInput> {
      const service = getMedplumToken(client === DEFAULT_CLIENT ? undefined : client);
      const medplum = this.#moduleRef.get(service, { strict: false });
      return medplum.acceptDelegation(token(context), audience === undefined ? {} : { audience });
    }
  }
  return DelegationResolver;
}

function tokenOf(context: ExecutionContext): string | undefined {
  if (context.getType() === 'rpc') {
    return takeField(context.switchToRpc().getData());
  }
  const { headers } = (requestOf(context) ?? {}) as { readonly headers?: Readonly<Record<string, unknown>> };
  return headers?.[DELEGATION_HEADER] as string | undefined;
}

/** Handlers, pipes and logs do not see the token. */
function takeField(data: unknown): string | undefined {
  if (typeof data !== 'object' || data === null || !Object.hasOwn(data, DELEGATION_FIELD)) {
    return undefined;
  }
  const message = data as { [DELEGATION_FIELD]?: string };
  const { [DELEGATION_FIELD]: token } = message;
  delete message[DELEGATION_FIELD];
  return token;
}
