import type { ExecutionContext } from '@nestjs/common';
import type { Acting } from './acting-metadata';
import type { Identity } from './identity';
import type { RegisteredClient } from './on-behalf-of.registry';

/** The identity of one client for one invocation. */
export interface ResolvedIdentity {
  readonly client: RegisteredClient;
  readonly identity: Identity;
}

/** The identities of one invocation, or their coming: a promise only where a source gave one. */
export type Resolution = readonly ResolvedIdentity[] | Promise<readonly ResolvedIdentity[]>;

/** What the decorators of a handler say of one client. */
export interface PlannedIdentity {
  readonly client: RegisteredClient;
  readonly acting: Acting;
}

/** What is the same for all invocations of a handler. */
export interface HandlerPlan {
  /** `Class.method`, for logs and errors. */
  readonly name: string;
  readonly identities: readonly PlannedIdentity[];
  /** How often guards of the library have run when the last guard is one of them; 0 when another one is last. */
  runsWhenLast: number | undefined;
}

const INVOCATION = Symbol('nestjs-medplum:invocation');

interface Carrier {
  [INVOCATION]?: Invocation;
}

/**
 * One invocation of a decorated handler, on its way from the first guard to the interceptor. It stands on the request,
 * which apps log and print: that is why nothing of it is public but what it does.
 */
export class Invocation {
  readonly #plan: HandlerPlan;
  #guardRuns = 0;
  #opened = false;
  #resolution: Resolution | undefined;

  constructor(plan: HandlerPlan) {
    this.#plan = plan;
  }

  /** What the decorators of the handler say. */
  get plan(): HandlerPlan {
    return this.#plan;
  }

  /** Counts the runs of `OnBehalfOfGuard`. */
  guardRan(): number {
    return ++this.#guardRuns;
  }

  /** Whether the scopes are still to be opened: by the first interceptor that asks. */
  open(): boolean {
    const first = !this.#opened;
    this.#opened = true;
    return first;
  }

  /** The result of `resolve`, which runs only the first time: the guard and the interceptor share the result. */
  sharedResolution(resolve: () => Resolution): Resolution {
    return (this.#resolution ??= resolve());
  }
}

/**
 * The invocation that `context` belongs to. Guard and interceptor find it on the request over HTTP, and elsewhere on the
 * array of arguments: a WebSocket's client object, or the request of a GraphQL query, serves many invocations. A symbol
 * on the request costs less than an entry in a `WeakMap`, which the garbage collector has to look after.
 */
export function invocationOf(context: ExecutionContext, plan: HandlerPlan): Invocation {
  const carrier = carrierOf(context);
  let invocation = carrier[INVOCATION];
  // A request that one handler passes on to the next is another invocation.
  if (invocation?.plan !== plan) {
    invocation = new Invocation(plan);
    carrier[INVOCATION] = invocation;
  }
  return invocation;
}

function carrierOf(context: ExecutionContext): Carrier {
  if (context.getType() !== 'http') {
    return context.getArgs<Carrier & unknown[]>();
  }
  // Fastify wraps the request anew for each layer; the raw one stays the same.
  const request = context.getArgByIndex<Carrier & { readonly raw?: Carrier }>(0);
  return request.raw ?? request;
}
