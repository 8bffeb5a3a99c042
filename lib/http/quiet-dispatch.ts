import { Agent, Client, type Dispatcher, Pool } from 'undici';
import type { CallTracing } from './call-tracing';
import type { MedplumDispatcher } from './medplum-dispatcher';

/**
 * Instrumentations learn of a request when a connection takes it, in the async context of that moment. A pool whose
 * connections are busy hands a request on when the request of somebody else is done, and so in the context of that one:
 * being quiet is up to the connection, and not to whoever asked the pool.
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

/** A pool of our own whose requests no instrumentation tells of while calls are traced. */
export function quietPool(origin: string | URL, options: Pool.Options, tracing: CallTracing): Pool {
  return new Pool(origin, { ...options, factory: (to, given) => new QuietClient(to, given, tracing) });
}

/** The same for several servers. */
export function quietAgent(options: Agent.Options, tracing: CallTracing): Agent {
  return new Agent({ ...options, factory: (origin, given) => quietPool(origin, given, tracing) });
}

/** A dispatcher that was given: it is quiet about what it hands on at once, and its own matter what it keeps waiting. */
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
