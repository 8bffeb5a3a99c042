import { AsyncLocalStorage } from 'node:async_hooks';
import { ClsService, type ClsStore } from 'nestjs-cls';
import type { Identity } from './identity';
import type { InboundRequest } from './inbound-request';
import { type Enter, keepScope } from './keep-scope';

/**
 * What the calls made within a scope share: the identity they act as, and the HTTP request they serve. Both are captured
 * together when the scope is made, and stay together wherever the scope is entered again.
 *
 * Node keeps the store on each promise, timer and socket that is created inside the scope, as a property that `inspect`
 * shows. That is why its contents stand behind getters.
 */
export class CallScope implements ClsStore {
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
 * The ambient scope of one client, in a nestjs-cls context of its own. It is not the app's context: a nested run of that
 * one copies it, and what the handler then sets would be missing in exception filters.
 */
export class AmbientScope {
  readonly #cls = new ClsService<CallScope>(new AsyncLocalStorage());

  /** The innermost scope around the caller. */
  get current(): CallScope | undefined {
    return this.#cls.isActive() ? this.#cls.get() : undefined;
  }

  /**
   * Calls `fn` inside `scope`, which lasts for everything that `fn` starts. When `fn` returns an Observable, a stream or
   * an AsyncIterable, it is subscribed to, read or pulled inside the scope too, wherever that happens.
   */
  run<T>(scope: CallScope, fn: () => T): T {
    const enter: Enter = (callback) => this.enter(scope, callback);
    return keepScope(enter(fn), enter);
  }

  /** Calls `fn` inside `scope` and returns its result as it is. The caller takes care of lazy results. */
  enter<T>(scope: CallScope, fn: () => T): T {
    return this.#cls.runWith(scope, fn);
  }
}
