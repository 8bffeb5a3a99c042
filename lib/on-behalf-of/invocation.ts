import type { ExecutionContext } from '@nestjs/common';
import type { Acting } from './acting-metadata';
import type { Identity } from './identity';
import type { RegisteredClient } from './on-behalf-of.registry';

/** The identity of one client for one invocation. */
export interface ResolvedIdentity {
  readonly client: RegisteredClient;
  readonly identity: Identity;
}

/** The identities of one invocation. Synchronous unless a source returned a promise. */
export type Resolution = readonly ResolvedIdentity[] | Promise<readonly ResolvedIdentity[]>;

/** How the decorators of a handler make one client act. */
export interface PlannedIdentity {
  readonly client: RegisteredClient;
  readonly acting: Acting;
}

/** What all invocations of a handler share. */
export interface HandlerPlan {
  /** `Class.method`, for logs and errors. */
  readonly name: string;
  readonly identities: readonly PlannedIdentity[];
  /** Whether the handler answers with server-sent events. */
  readonly isSse: boolean;
  /** How many guards of the library have run once the last guard has, if the last one is ours. Else 0. */
  runsWhenLast: number | undefined;
}

/** The scopes of one run of the handler. */
export interface InvocationScopes {
  readonly areAround: boolean;
}

const INVOCATION = Symbol('nestjs-medplum:invocation');

interface Carrier {
  [INVOCATION]?: Invocation;
}

/**
 * One invocation of a decorated handler, from the first guard to the interceptor. It is a property of the request, which
 * apps log and print, so its data is in `#private` fields.
 */
export class Invocation {
  readonly #plan: HandlerPlan;
  #guardRuns = 0;
  #scopes: InvocationScopes | undefined;
  #resolution: Resolution | undefined;

  constructor(plan: HandlerPlan) {
    this.#plan = plan;
  }

  /** The plan of the handler. */
  get plan(): HandlerPlan {
    return this.#plan;
  }

  /** Counts one more run of `OnBehalfOfGuard`, and returns the count. */
  guardRan(): number {
    return ++this.#guardRuns;
  }

  /** Whether the caller is inside the scopes of this invocation already. */
  get isInside(): boolean {
    return this.#scopes?.areAround === true;
  }

  /** Keeps the scopes that were opened last: an outer interceptor may run the handler several times. */
  opened(scopes: InvocationScopes): void {
    this.#scopes = scopes;
  }

  /** The result of `resolve`, which runs only the first time: the guard and the interceptor share the result. */
  sharedResolution(resolve: () => Resolution): Resolution {
    return (this.#resolution ??= resolve());
  }
}

/**
 * The invocation that `context` belongs to. Over HTTP it is a property of the request. Elsewhere it is a property of the
 * array of arguments, because the client object of a WebSocket, or the request of a GraphQL query, serves many
 * invocations. A symbol property costs less than an entry in a `WeakMap`, which the garbage collector has to track.
 */
export function invocationOf(context: ExecutionContext, plan: HandlerPlan): Invocation {
  const carrier = carrierOf(context);
  let invocation = carrier[INVOCATION];
  // If one handler passes the request on to the next one, that is a new invocation.
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
  // Fastify wraps the request anew for each layer. The raw request stays the same.
  const request = context.getArgByIndex<Carrier & { readonly raw?: Carrier }>(0);
  return request.raw ?? request;
}
