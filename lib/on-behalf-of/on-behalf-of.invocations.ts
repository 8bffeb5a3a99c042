import { type ExecutionContext, ForbiddenException, Logger, type Type, UnauthorizedException } from '@nestjs/common';
import { ContextIdFactory, type ModuleRef } from '@nestjs/core';
import { OnBehalfOfRequiredError } from '../errors/on-behalf-of.errors';
import { type Acting, type ActingByClient, actingOf } from './acting-metadata';
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
  /** Settled once: the guard and the interceptor share it. */
  resolution: Promise<readonly ResolvedIdentity[]> | undefined;
}

/**
 * Resolves identities, once per invocation. Guard and interceptor of one invocation find each other by the request over
 * HTTP, and elsewhere by the array of arguments: a WebSocket's client object, or the request of a GraphQL query, serves
 * many invocations.
 */
export class OnBehalfOfInvocations {
  readonly #logger = new Logger('OnBehalfOf');
  readonly #invocations = new WeakMap<object, Invocation>();
  readonly #acting = new WeakMap<object, WeakMap<object, ActingByClient>>();
  readonly #created = new WeakMap<ModuleRef, Map<Type<OnBehalfOfResolver>, Promise<OnBehalfOfResolver>>>();

  constructor(private readonly registry: OnBehalfOfRegistry) {}

  /** What the decorators of the handler say; `undefined` for an undecorated one. */
  acting(context: ExecutionContext): ActingByClient | undefined {
    const [type, handler] = [context.getClass(), context.getHandler()];
    let ofClass = this.#acting.get(type);
    if (!ofClass) {
      this.#acting.set(type, (ofClass = new WeakMap()));
    }
    let acting = ofClass.get(handler);
    if (!acting) {
      ofClass.set(handler, (acting = actingOf(type, handler)));
    }
    return Object.keys(acting).length === 0 ? undefined : acting;
  }

  /** The invocation that `context` belongs to. */
  of(context: ExecutionContext): Invocation {
    const key = invocationKey(context);
    const handler = context.getHandler();
    let invocation = this.#invocations.get(key);
    // A request that one handler passes on to the next is another invocation.
    if (invocation?.handler !== handler) {
      invocation = { handler, guardRuns: 0, opened: false, resolution: undefined };
      this.#invocations.set(key, invocation);
    }
    return invocation;
  }

  /**
   * The identities that the decorators of the handler ask for.
   *
   * @throws UnauthorizedException or ForbiddenException when a source names nobody (OnBehalfOfRequiredError for RPC and
   * WebSockets), OnBehalfOfReferenceError when it names somebody badly, and what the source itself throws.
   */
  resolveOnce(context: ExecutionContext, moduleRef: ModuleRef): Promise<readonly ResolvedIdentity[]> {
    const invocation = this.of(context);
    invocation.resolution ??= this.#resolveAll(context, moduleRef);
    return invocation.resolution;
  }

  async #resolveAll(context: ExecutionContext, moduleRef: ModuleRef): Promise<readonly ResolvedIdentity[]> {
    const resolved: ResolvedIdentity[] = [];
    for (const [name, acting] of Object.entries(this.acting(context) ?? {})) {
      const client = this.registry.get(name);
      resolved.push({ client, identity: await this.#resolve(acting, client, context, moduleRef) });
    }
    return resolved;
  }

  async #resolve(
    acting: Acting,
    client: RegisteredClient,
    context: ExecutionContext,
    moduleRef: ModuleRef,
  ): Promise<Identity> {
    if (acting.as === 'client-application') {
      return clientApplicationIdentity(acting.reason);
    }
    const source = acting.source ?? client.resolveOnBehalfOf;
    const who = source === undefined ? undefined : await this.#ask(source, context, moduleRef);
    if (who === undefined || who === null) {
      return this.#refuse(client, context);
    }
    return scopeIdentity(client.identity.parse(who, `The identity resolved for ${handlerName(context)}`));
  }

  async #ask(source: OnBehalfOfSource, context: ExecutionContext, moduleRef: ModuleRef): Promise<unknown> {
    if (typeof source === 'string') {
      return source;
    }
    if (!isResolverClass(source)) {
      return source(context);
    }
    const resolver = await this.#resolver(source, context, moduleRef);
    return resolver.resolve(context);
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
