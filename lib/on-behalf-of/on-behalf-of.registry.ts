import type { ExecutionContext } from '@nestjs/common';
import { MedplumConfigError } from '../errors/medplum-config.error';
import type { ActingByClient } from './acting-metadata';
import { AppOutline } from './app-outline';
import type { Identity } from './identity';
import type { IdentityResolver } from './identity-resolver';
import type { OnBehalfOfSource } from './on-behalf-of.source';

/** The name of the unnamed client in metadata, events and errors. */
export const DEFAULT_CLIENT = 'default';

/** What the decorators, the guard and the interceptor need to know about one client. */
export interface RegisteredClient {
  readonly name: string;
  readonly identity: IdentityResolver;
  /** The source that `@OnBehalfOf()` without an argument uses. */
  readonly resolveOnBehalfOf: OnBehalfOfSource | undefined;
  readonly isAuthenticated: (context: ExecutionContext) => boolean;
  readonly hasDefault: boolean;
  /** How often handlers that go on for long are authorized again, in ms. */
  readonly reauthorizeEvery: number;
  /** Rejects when the membership check refuses the identity; `undefined` when nothing is checked. */
  vet(identity: Identity): Promise<unknown> | undefined;
}

/** The clients of one app, by name. */
export class OnBehalfOfRegistry {
  /** What the messages about calls without an identity are made of. */
  readonly outline = new AppOutline();
  readonly #clients = new Map<string, RegisteredClient>();

  /** Why a call of this client has no identity here. Looks at the scopes around the caller. */
  explainNobody(name: string): string {
    const around = [...this.#clients.values()].filter(({ identity }) => identity.scope.current?.isEnded === false);
    return this.outline.explain(
      name,
      around.map((client) => client.name),
    );
  }

  /** Whether a handler acts for whoever sends the request. One fixed reference and the client itself are nobody of those. */
  actsForUser(acting: ActingByClient): boolean {
    return Object.entries(acting).some(
      ([name, entry]) =>
        entry.as === 'on-behalf-of' &&
        typeof (entry.source ?? this.#clients.get(name)?.resolveOnBehalfOf) === 'function',
    );
  }

  /** @throws MedplumConfigError when the name is taken. */
  register(client: RegisteredClient): void {
    if (this.#clients.has(client.name)) {
      throw new MedplumConfigError(
        client.name === DEFAULT_CLIENT
          ? 'There are two Medplum clients without a name. Import MedplumModule.forRoot() once, or give the others a name.'
          : `There are two Medplum clients with the name "${client.name}". Give each client its own name.`,
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
          ? `There is no Medplum client without a name (known: ${known}). Import MedplumModule.forRoot() without a name, or name the client in the decorator.`
          : `There is no Medplum client with the name "${name}" (known: ${known}). Correct the name in the decorator, or import the client.`,
      );
    }
    return client;
  }
}
