import { AsyncLocalStorage } from 'node:async_hooks';
import { ClsService, type ClsStore } from 'nestjs-cls';
import type { Identity } from './identity';
import type { InboundRequest } from './inbound-request';
import { keepScope } from './keep-scope';

/**
 * What all calls in a scope share: their identity and the HTTP request that they serve. Both are fixed when the scope is
 * created, and stay together wherever the scope is entered again.
 *
 * AsyncLocalStorage is sticky: a connection, a timer or a subscription that is first opened inside a scope keeps it for
 * ever. That is why a scope has an end.
 *
 * Node keeps the store on each promise, timer and socket that is created inside the scope, as a property that `inspect`
 * shows. That is why its contents stand behind getters.
 */
export class CallScope implements ClsStore {
  [key: symbol]: unknown;
  readonly #identity: Identity;
  readonly #inbound: InboundRequest | undefined;
  readonly #lastsForResponse: boolean;
  /** What keeps the scope open: its function, and whatever lazy value that returned. */
  #holds = 0;
  #isRevoked = false;
  /** The scope that a function was bound to. */
  #origin: CallScope | undefined;

  /** @param lastsForResponse the scope is that of a handler: it also lasts until the response of `inbound` is closed. */
  constructor(identity: Identity, inbound: InboundRequest | undefined, lastsForResponse = false) {
    this.#identity = identity;
    this.#inbound = inbound;
    this.#lastsForResponse = lastsForResponse;
  }

  /** Another scope with the same identity, for a function that is bound to this one. It has an end of its own. */
  another(): CallScope {
    const scope = new CallScope(this.#identity, this.#inbound);
    scope.#origin = this;
    return scope;
  }

  get identity(): Identity {
    return this.#identity;
  }

  get inbound(): InboundRequest | undefined {
    return this.#inbound;
  }

  /** Whether everything that the scope was opened for is over. */
  get isEnded(): boolean {
    return this.isRevoked || (this.#holds === 0 && !(this.#lastsForResponse && this.#inbound?.isOpen));
  }

  /** Whether its identity was asked for again and not confirmed. */
  get isRevoked(): boolean {
    return this.#isRevoked || this.#origin?.isRevoked === true;
  }

  /** Ends the scope at once, whatever holds it. */
  revoke(): void {
    this.#isRevoked = true;
  }

  /** Keeps the scope open until {@link CallScope.release} is called as often. */
  hold(): void {
    this.#holds++;
  }

  release(): void {
    this.#holds--;
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
   * Calls `fn` inside `scope`, which lasts until `fn` has settled. When `fn` returns something lazy, that is subscribed
   * to, read or pulled inside the scope too, wherever that happens, and the scope lasts until it is done.
   *
   * @throws OnBehalfOfRequiredError when `fn` returns something lazy that cannot be tied to the scope.
   */
  run<T>(scope: CallScope, fn: () => T): T {
    scope.hold();
    try {
      return keepScope(this.enter(scope, fn), {
        enter: (callback) => this.enter(scope, callback),
        hold: () => scope.hold(),
        release: () => scope.release(),
      });
    } catch (error) {
      scope.release();
      throw error;
    }
  }

  /** Calls `fn` inside `scope` and returns its result as it is. The caller takes care of lazy results and of the end. */
  enter<T>(scope: CallScope, fn: () => T): T {
    return this.#cls.runWith(scope, fn);
  }
}
