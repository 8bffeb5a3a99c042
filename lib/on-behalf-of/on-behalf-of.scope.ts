import { AsyncLocalStorage } from 'node:async_hooks';
import { ClsService, type ClsStore } from 'nestjs-cls';
import type { Identity } from './identity';
import type { InboundRequest } from './inbound-request';
import { type Enter, keepScope } from './keep-scope';

/**
 * Node keeps the store on each promise, timer and socket that is made inside the scope, as a property that `inspect`
 * shows: what is in it stands behind getters.
 */
class IdentityStore implements ClsStore {
  [key: symbol]: unknown;
  readonly #identity: Identity;
  readonly #inbound: InboundRequest | undefined;

  constructor(identity: Identity, inbound: InboundRequest | undefined) {
    this.#identity = identity;
    this.#inbound = inbound;
  }

  get identity(): Identity {
    return this.#identity;
  }

  get inbound(): InboundRequest | undefined {
    return this.#inbound;
  }
}

/**
 * The ambient identity of one client, in a nestjs-cls context of its own. It is not the app's context: a nested run of
 * that one copies it, and what the handler then sets would be missing in exception filters.
 */
export class OnBehalfOfScope {
  readonly #cls = new ClsService<IdentityStore>(new AsyncLocalStorage());

  /** The identity of the innermost scope around the caller. */
  get identity(): Identity | undefined {
    return this.#cls.isActive() ? this.#cls.get().identity : undefined;
  }

  /** The HTTP request whose handler opened the outermost scope around the caller. */
  get inbound(): InboundRequest | undefined {
    return this.#cls.isActive() ? this.#cls.get().inbound : undefined;
  }

  /**
   * Calls `fn` with `identity` in force, until everything that it started is done. An Observable or AsyncIterable that
   * it returns is subscribed to or pulled with that identity in force, wherever that happens.
   */
  run<T>(identity: Identity, fn: () => T): T {
    const enter: Enter = (callback) => this.enter(identity, callback);
    return keepScope(enter(fn), enter);
  }

  /**
   * Calls `fn` with `identity` in force, and returns what it returns as it is: for those who look after lazy values.
   *
   * @param inbound the HTTP request that is served, by default that of the scope around.
   */
  enter<T>(identity: Identity, fn: () => T, inbound: InboundRequest | undefined = this.inbound): T {
    return this.#cls.runWith(new IdentityStore(identity, inbound), fn);
  }
}
