import { type ExecutionContext, ForbiddenException, Logger, type Type, UnauthorizedException } from '@nestjs/common';
import { ContextIdFactory, type ModuleRef } from '@nestjs/core';
import { OnBehalfOfRequiredError } from '../errors/on-behalf-of.errors';
import { type Acting, actingOf } from './acting-metadata';
import { clientApplicationIdentity, type Identity, scopeIdentity } from './identity';
import { isResolverClass, type OnBehalfOfResolver, type OnBehalfOfSource, requestOf } from './on-behalf-of.source';
import type { OnBehalfOfRegistry, RegisteredClient } from './on-behalf-of.registry';

/** The identity of one client for one invocation. */
export interface ResolvedIdentity {
  readonly client: RegisteredClient;
  readonly identity: Identity;
}

/** One invocation of a decorated handler, on its way from the first guard to the interceptor. */
export interface Invocation {
  readonly handler: object;
  /** How often an `OnBehalfOfGuard` has run for it. */
  guardRuns: number;
  /** Whether an interceptor has opened its scopes. */
  opened: boolean;
  /** Made once: the guard and the interceptor share it. A promise only where a source gave one. */
  resolution: Resolution | undefined;
  /** What the decorators of the handler say. */
  readonly plan: HandlerPlan;
}

/** The identities of one invocation, or their coming. */
export type Resolution = readonly ResolvedIdentity[] | Promise<readonly ResolvedIdentity[]>;

/** What is the same for all invocations of a handler. */
type HandlerPlan = readonly { readonly client: RegisteredClient; readonly acting: Acting }[];

/**
 * Resolves identities, once per invocation. Guard and interceptor of one invocation find each other by the request over
 * HTTP, and elsewhere by the array of arguments: a WebSocket's client object, or the request of a GraphQL query, serves
 * many invocations.
 */
export class OnBehalfOfInvocations {
  readonly #logger = new Logger('OnBehalfOf');
  readonly #invocations = new WeakMap<object, Invocation>();
  readonly #plans = new WeakMap<object, WeakMap<object, HandlerPlan>>();
  readonly #created = new WeakMap<ModuleRef, Map<Type<OnBehalfOfResolver>, Promise<OnBehalfOfResolver>>>();
  readonly #registry: OnBehalfOfRegistry;

  constructor(registry: OnBehalfOfRegistry) {
    this.#registry = registry;
  }

  /** The invocation that `context` belongs to; `undefined` for a handler that is not decorated. */
  of(context: ExecutionContext): Invocation | undefined {
    const handler = context.getHandler();
    const plan = this.#plan(context.getClass(), handler);
    if (plan.length === 0) {
      return undefined;
    }
    const key = invocationKey(context);
    let invocation = this.#invocations.get(key);
    // A request that one handler passes on to the next is another invocation.
    if (invocation?.handler !== handler) {
      invocation = { handler, guardRuns: 0, opened: false, resolution: undefined, plan };
      this.#invocations.set(key, invocation);
    }
    return invocation;
  }

  /**
   * The identities that the decorators of the handler ask for, at once unless a source takes its time.
   *
   * @throws UnauthorizedException or ForbiddenException when a source names nobody (OnBehalfOfRequiredError for RPC and
   * WebSockets), OnBehalfOfReferenceError when it names somebody badly, and what the source itself throws.
   */
  resolveOnce(invocation: Invocation, context: ExecutionContext, moduleRef: ModuleRef): Resolution {
    return (invocation.resolution ??= this.#resolveAll(invocation.plan, context, moduleRef, []));
  }

  /** Decorators do not change while the app runs, and reading them for each request is dearer than all the rest. */
  #plan(type: object, handler: object): HandlerPlan {
    let ofClass = this.#plans.get(type);
    if (!ofClass) {
      this.#plans.set(type, (ofClass = new WeakMap()));
    }
    let plan = ofClass.get(handler);
    if (!plan) {
      const acting = Object.entries(actingOf(type, handler));
      plan = acting.map(([name, one]) => ({ client: this.#registry.get(name), acting: one }));
      ofClass.set(handler, plan);
    }
    return plan;
  }

  /** One after the other; goes on in a promise from the first source that gives one. */
  #resolveAll(
    plan: HandlerPlan,
    context: ExecutionContext,
    moduleRef: ModuleRef,
    resolved: ResolvedIdentity[],
  ): Resolution {
    for (const { client, acting } of plan.slice(resolved.length)) {
      const identity = this.#resolve(acting, client, context, moduleRef);
      if (identity instanceof Promise) {
        return identity.then((settled) =>
          this.#resolveAll(plan, context, moduleRef, [...resolved, { client, identity: settled }]),
        );
      }
      resolved.push({ client, identity });
    }
    return resolved;
  }

  #resolve(
    acting: Acting,
    client: RegisteredClient,
    context: ExecutionContext,
    moduleRef: ModuleRef,
  ): Identity | Promise<Identity> {
    if (acting.as === 'client-application') {
      return clientApplicationIdentity(acting.reason);
    }
    const source = acting.source ?? client.resolveOnBehalfOf;
    const who = source === undefined ? undefined : this.#ask(source, context, moduleRef);
    return isThenable(who)
      ? Promise.resolve(who).then((settled: unknown) => this.#identity(settled, client, context))
      : this.#identity(who, client, context);
  }

  #identity(who: unknown, client: RegisteredClient, context: ExecutionContext): Identity {
    if (who === undefined || who === null) {
      return this.#refuse(client, context);
    }
    return scopeIdentity(client.identity.parse(who, `The identity resolved for ${handlerName(context)}`));
  }

  #ask(source: OnBehalfOfSource, context: ExecutionContext, moduleRef: ModuleRef): unknown {
    if (typeof source === 'string') {
      return source;
    }
    if (!isResolverClass(source)) {
      return source(context);
    }
    return this.#resolver(source, context, moduleRef).then((resolver) => resolver.resolve(context));
  }

  async #resolver(
    type: Type<OnBehalfOfResolver>,
    context: ExecutionContext,
    moduleRef: ModuleRef,
  ): Promise<OnBehalfOfResolver> {
    if (isProvided(type, moduleRef)) {
      const request = requestOf(context);
      const contextId = request ? ContextIdFactory.getByRequest(request) : ContextIdFactory.create();
      moduleRef.registerRequestByContextId(request, contextId);
      return moduleRef.resolve(type, contextId, { strict: false });
    }
    let created = this.#created.get(moduleRef);
    if (!created) {
      this.#created.set(moduleRef, (created = new Map()));
    }
    let instance = created.get(type);
    if (!instance) {
      created.set(type, (instance = moduleRef.create(type)));
    }
    return instance;
  }

  #refuse(client: RegisteredClient, context: ExecutionContext): never {
    const authenticated = client.isAuthenticated(context);
    this.#logger.warn(
      `@OnBehalfOf on ${handlerName(context)} found nobody to act for (client "${client.name}", ` +
        `${authenticated ? 'the user is logged in: does their account name a membership?' : 'nobody is logged in'}).`,
    );
    if (['rpc', 'ws'].includes(context.getType<string>())) {
      throw new OnBehalfOfRequiredError(
        'The message names nobody to act for, so it was refused before its handler ran.',
      );
    }
    throw authenticated ? new ForbiddenException() : new UnauthorizedException();
  }
}

/** How logs name the handler. */
export function handlerName(context: ExecutionContext): string {
  return `${context.getClass().name}.${context.getHandler().name}`;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

function invocationKey(context: ExecutionContext): object {
  if (context.getType() !== 'http') {
    return context.getArgs();
  }
  // Fastify wraps the request anew for each layer; the raw one stays the same.
  const request = context.switchToHttp().getRequest<{ raw?: object }>();
  return request.raw ?? request;
}

function isProvided(type: Type, moduleRef: ModuleRef): boolean {
  try {
    moduleRef.introspect(type);
    return true;
  } catch {
    return false;
  }
}
