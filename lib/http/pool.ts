import { Agent, Client, type Dispatcher, Pool } from 'undici';
import type { CallTracing } from './call-tracing';
import type { MedplumDispatcher } from './medplum-dispatcher';

/** Size of the connection pool of one client. */
export interface MedplumPoolOptions {
  /** The most connections that are open at once; further requests wait. Default 64. */
  readonly connections?: number;
  /** How long an idle connection is kept, in ms. Default 10,000. The server's own `Keep-Alive` hint wins. */
  readonly keepAliveTimeout?: number;
}

/**
 * Instrumentations see a request when a connection takes it, in the async context of that moment. A busy pool hands a
 * waiting request on when somebody else's request ends, and so in that one's context. That is why the connection
 * suppresses instrumentation, and not the code that asks the pool.
 */
class QuietClient extends Client {
  readonly #tracing: CallTracing;

  constructor(origin: string | URL, options: object, tracing: CallTracing) {
    super(origin, options);
    this.#tracing = tracing;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { tracer } = this.#tracing;
    return tracer ? tracer.quietly(() => super.dispatch(options, handler)) : super.dispatch(options, handler);
  }
}

/** A pool of our own. While calls are traced, no instrumentation sees its requests. */
export function quietPool(origin: string | URL, options: Pool.Options, tracing: CallTracing): Pool {
  return new Pool(origin, { ...options, factory: (to, given) => new QuietClient(to, given, tracing) });
}

/** A {@link quietPool} for several origins. */
export function quietAgent(options: Agent.Options, tracing: CallTracing): Agent {
  return new Agent({ ...options, factory: (origin, given) => quietPool(origin, given, tracing) });
}

/** Wraps a dispatcher that was given. It hides requests that start at once, but not those that the dispatcher queues. */
export function quietDispatcher(dispatcher: MedplumDispatcher, tracing: CallTracing): MedplumDispatcher {
  return {
    get destroyed() {
      return dispatcher.destroyed === true;
    },
    request: (options) => {
      const { tracer } = tracing;
      return tracer ? tracer.quietly(() => dispatcher.request(options)) : dispatcher.request(options);
    },
  };
}
