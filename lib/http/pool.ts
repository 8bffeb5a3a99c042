import { Agent, Client, type Dispatcher, Pool } from 'undici';
import type { CallTracing } from './call-tracing';
import type { MedplumDispatcher } from './medplum-dispatcher';

/** Size of the connection pool of one client. */
export interface MedplumPoolOptions {
  /** Most connections that are open at once; further requests wait. Default 64. */
  readonly connections?: number | undefined;
  /** How long an idle connection stays open, in ms. A `Keep-Alive` header of the server wins. Default 10,000. */
  readonly keepAliveTimeout?: number | undefined;
}

/**
 * A connection that hides its requests from instrumentations while calls are traced. An instrumentation sees a request
 * when a connection takes it, in the async context of that moment. In a busy pool, that is the context of another request
 * that has just ended. So the connection has to hide it, not the code that calls the pool.
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

/** Opens a pool. While calls are traced, no instrumentation sees its requests. */
export function quietPool(origin: string | URL, options: Pool.Options, tracing: CallTracing): Pool {
  return new Pool(origin, { ...options, factory: (to, given) => new QuietClient(to, given, tracing) });
}

/** Opens a {@link quietPool} for several origins. */
export function quietAgent(options: Agent.Options, tracing: CallTracing): Agent {
  return new Agent({ ...options, factory: (origin, given) => quietPool(origin, given, tracing) });
}

/** Wraps the dispatcher of the app. It hides requests that start at once, but not those that the dispatcher queues. */
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
