import { type AmbientScope, CallScope } from './call-scope';
import type { InboundRequest } from './inbound-request';
import type { ResolvedIdentity } from './invocation';
import type { KeptScope } from './keep-scope';
import type { Reauthorization } from './reauthorization';

/** The scopes of one run of a decorated handler: one for each client that its decorators name. */
export class HandlerScopes implements KeptScope {
  readonly #scopes: readonly { readonly ambient: AmbientScope; readonly scope: CallScope }[];
  /** Runs while something holds the scopes. Only for handlers that may go on for long. */
  readonly #reauthorization: Reauthorization | undefined;
  #holds = 0;

  constructor(
    identities: readonly ResolvedIdentity[],
    inbound: InboundRequest | undefined,
    reauthorization?: Reauthorization,
  ) {
    this.#reauthorization = reauthorization;
    this.#scopes = identities.map(({ client, identity }) => ({
      ambient: client.identity.scope,
      scope: new CallScope(identity, inbound, true),
    }));
    reauthorization?.onRefusal(() => this.#scopes.forEach(({ scope }) => scope.revoke()));
  }

  /** Whether the caller is inside all of them. */
  get areAround(): boolean {
    return this.#scopes.every(({ ambient, scope }) => ambient.current === scope);
  }

  enter<R>(callback: () => R): R {
    return this.#enter(0, callback);
  }

  hold(): void {
    if (++this.#holds === 1) {
      this.#reauthorization?.start();
    }
    this.#scopes.forEach(({ scope }) => scope.hold());
  }

  release(): void {
    if (--this.#holds === 0) {
      this.#reauthorization?.stop();
    }
    this.#scopes.forEach(({ scope }) => scope.release());
  }

  #enter<R>(index: number, callback: () => R): R {
    const next = this.#scopes[index];
    return next ? next.ambient.enter(next.scope, () => this.#enter(index + 1, callback)) : callback();
  }
}
