import { AsyncLocalStorage } from 'node:async_hooks';
import { ClsService, type ClsStore } from 'nestjs-cls';
import type { Identity } from './identity';
import type { InboundRequest } from './inbound-request';
import { type Enter, keepScope } from './keep-scope';

/**
 * What all calls in a scope share: their identity and the HTTP request that they serve. Both are fixed when the scope is
 * created, and stay together wherever the scope is entered again.
 *
 * Node stores it on each promise, timer and socket that is created inside the scope, as a property that `inspect` shows.
 * Getters keep its contents out of that.
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
 * The ambient scope of one client, in its own nestjs-cls context. It does not use the context of the app: a nested run
 * would copy that, and exception filters would miss what the handler sets in the copy.
 */
export class AmbientScope {
  readonly #cls = new ClsService<CallScope>(new AsyncLocalStorage());

  /** The innermost scope around the caller. */
  get current(): CallScope | undefined {
    return this.#cls.isActive() ? this.#cls.get() : undefined;
  }

  /**
   * Calls `fn` inside `scope`. The scope covers everything that `fn` starts. If `fn` returns an Observable, a stream or an
   * AsyncIterable, that runs inside the scope too, wherever it is consumed.
   */
  run<T>(scope: CallScope, fn: () => T): T {
    const enter: Enter = (callback) => this.enter(scope, callback);
    return keepScope(enter(fn), enter);
  }

  /** Calls `fn` inside `scope` and returns its result unchanged. The caller has to tie lazy results to the scope. */
  enter<T>(scope: CallScope, fn: () => T): T {
    return this.#cls.runWith(scope, fn);
  }
}
