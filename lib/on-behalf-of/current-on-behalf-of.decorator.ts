import { createParamDecorator, Injectable, type PipeTransform } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { findProvider } from './find-provider';
import type { OnBehalfOfReference } from './on-behalf-of.reference';
import { DEFAULT_CLIENT, OnBehalfOfRegistry } from './on-behalf-of.registry';

/** Turns the name of a client into its ambient identity. Pipes run inside the scope. */
@Injectable()
export class CurrentOnBehalfOfPipe implements PipeTransform<string, OnBehalfOfReference | undefined> {
  readonly #moduleRef: ModuleRef;

  constructor(moduleRef: ModuleRef) {
    this.#moduleRef = moduleRef;
  }

  transform(client: string): OnBehalfOfReference | undefined {
    return findProvider(this.#moduleRef, OnBehalfOfRegistry).get(client).identity.ambient?.onBehalfOf;
  }
}

const clientName = createParamDecorator((client: string | undefined) => client ?? DEFAULT_CLIENT);

/**
 * Injects the reference that the handler runs on behalf of. `undefined` when it runs as the client itself.
 *
 * @param client name of the client, for apps with several. Default: the unnamed client.
 * @example
 * ```ts
 * whoAmI(@CurrentOnBehalfOf() onBehalfOf: OnBehalfOfReference) {}
 * ```
 */
export function CurrentOnBehalfOf(client?: string): ParameterDecorator {
  return clientName(client, CurrentOnBehalfOfPipe);
}
