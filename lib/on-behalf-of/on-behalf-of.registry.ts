import type { ExecutionContext } from '@nestjs/common';
import { MedplumConfigError } from '../errors/medplum-config.error';
import type { IdentityResolver } from './identity-resolver';
import type { OnBehalfOfSource } from './on-behalf-of.source';

/** Name that the unnamed client has in metadata, events and errors. */
export const DEFAULT_CLIENT = 'default';

/** What the decorators, the guard and the interceptor need to know of one client. */
export interface RegisteredClient {
  readonly name: string;
  readonly identity: IdentityResolver;
  /** What a bare `@OnBehalfOf()` uses. */
  readonly resolveOnBehalfOf: OnBehalfOfSource | undefined;
  readonly isAuthenticated: (context: ExecutionContext) => boolean;
  readonly hasDefault: boolean;
}

/** The clients of one app, by name. */
export class OnBehalfOfRegistry {
  readonly #clients = new Map<string, RegisteredClient>();

  /** @throws MedplumConfigError when the name is taken. */
  register(client: RegisteredClient): void {
    if (this.#clients.has(client.name)) {
      throw new MedplumConfigError(
        client.name === DEFAULT_CLIENT
          ? 'There are two Medplum clients without a name: import MedplumModule.forRoot() once, or give the others a name.'
          : `There are two Medplum clients with the name "${client.name}": give each its own.`,
      );
    }
    this.#clients.set(client.name, client);
  }

  /** @throws MedplumConfigError when there is no such client. */
  get(name: string): RegisteredClient {
    const client = this.#clients.get(name);
    if (!client) {
      const known = [...this.#clients.keys()].join(', ') || 'none';
      throw new MedplumConfigError(
        name === DEFAULT_CLIENT
          ? `There is no Medplum client without a name (known: ${known}): import MedplumModule.forRoot(), or name the client in the decorator.`
          : `There is no Medplum client with the name "${name}" (known: ${known}).`,
      );
    }
    return client;
  }
}
