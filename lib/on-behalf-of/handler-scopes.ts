import { type AmbientScope, CallScope } from './call-scope';
import type { InboundRequest } from './inbound-request';
import type { ResolvedIdentity } from './invocation';
import type { KeptScope } from './keep-scope';

/** The scopes of one run of a decorated handler: one for each client that its decorators name. */
export class HandlerScopes implements KeptScope {
  readonly #scopes: readonly { readonly ambient: AmbientScope; readonly scope: CallScope }[];

  constructor(identities: readonly ResolvedIdentity[], inbound: InboundRequest | undefined) {
    this.#scopes = identities.map(({ client, identity }) => ({
      ambient: client.identity.scope,
      scope: new CallScope(identity, inbound, true),
    }));
  }

  /** Whether the caller is inside all of them. */
  get areAround(): boolean {
    return this.#scopes.every(({ ambient, scope }) => ambient.current === scope);
  }

  enter<R>(callback: () => R): R {
    return this.#enter(0, callback);
  }

  hold(): void {
    this.#scopes.forEach(({ scope }) => scope.hold());
  }

  release(): void {
    this.#scopes.forEach(({ scope }) => scope.release());
  }

  #enter<R>(index: number, callback: () => R): R {
    const next = this.#scopes[index];
    return next ? next.ambient.enter(next.scope, () => this.#enter(index + 1, callback)) : callback();
  }
}
