import {
  type ExecutionContext,
  ForbiddenException,
  type HttpException,
  Logger,
  type Type,
  UnauthorizedException,
} from '@nestjs/common';
import type { ModuleRef, ModulesContainer } from '@nestjs/core';
import { OnBehalfOfRequiredError } from '../errors/on-behalf-of.errors';
import { actingOfHandler } from './acting-metadata';
import { clientApplicationIdentity, type Identity, scopeIdentity } from './identity';
import {
  type HandlerPlan,
  type Invocation,
  invocationOf,
  type PlannedIdentity,
  type Resolution,
  type ResolvedIdentity,
} from './invocation';
import { isThenable } from '../shared/is-thenable';
import { isResolverClass, type OnBehalfOfResolver, type OnBehalfOfSource } from './on-behalf-of.source';
import { closeOnRefusal, Reauthorization } from './reauthorization';
import { ResolverContexts } from './resolver-contexts';
import type { OnBehalfOfRegistry, RegisteredClient } from './on-behalf-of.registry';

/** Reads the decorators of handlers, and resolves the identities of each invocation once. */
export class OnBehalfOfInvocations {
  readonly #logger = new Logger('OnBehalfOf');
  readonly #plans = new WeakMap<object, WeakMap<object, HandlerPlan>>();
  readonly #created = new WeakMap<ModuleRef, Map<Type<OnBehalfOfResolver>, Promise<OnBehalfOfResolver>>>();
  /** The WebSockets that have sent messages to decorated handlers. */
  readonly #connections = new WeakMap<object, { again: () => Promise<unknown> }>();
  readonly #registry: OnBehalfOfRegistry;
  readonly #contexts: ResolverContexts;

  constructor(registry: OnBehalfOfRegistry, modules: ModulesContainer) {
    this.#registry = registry;
    this.#contexts = new ResolverContexts(modules);
  }

  /** The invocation that `context` belongs to. `undefined` when the handler is not decorated. */
  of(context: ExecutionContext): Invocation | undefined {
    const plan = this.#plan(context.getClass(), context.getHandler());
    return plan.identities.length === 0 ? undefined : invocationOf(context, plan);
  }

  /**
   * The identities that the decorators of the handler ask for, resolved once per invocation. Synchronous unless a source
   * returns a promise.
   *
   * @throws UnauthorizedException or ForbiddenException when a source returns nobody (OnBehalfOfRequiredError for RPC and
   * WebSockets), OnBehalfOfReferenceError when it returns no valid reference, and what the source itself throws.
   */
  identitiesOf(invocation: Invocation, context: ExecutionContext, moduleRef: ModuleRef): Resolution {
    return invocation.sharedResolution(() => this.#resolveAll(invocation.plan, context, moduleRef, []));
  }

  /**
   * Asks for the identities of a handler that may go on for long again and again. `undefined` for other handlers. The
   * WebSocket of a message is watched as well, by its latest message.
   */
  reauthorizationOf(
    invocation: Invocation,
    context: ExecutionContext,
    resolved: readonly ResolvedIdentity[],
    moduleRef: ModuleRef,
  ): Reauthorization | undefined {
    const { plan } = invocation;
    if (!goesOnForLong(plan, context) || !resolved.some(({ identity }) => identity.onBehalfOf !== undefined)) {
      return undefined;
    }
    const every = Math.min(...plan.identities.map(({ client }) => client.reauthorizeEvery));
    const again = async (): Promise<readonly ResolvedIdentity[]> => {
      const found = await this.#resolveAll(plan, context, moduleRef, []);
      for (const { client, identity } of found) {
        await client.vet(identity);
      }
      return found;
    };
    if (context.getType() === 'ws') {
      this.#watch(context.switchToWs().getClient(), plan, every, again);
    }
    return new Reauthorization(plan.name, every, async () => {
      const found = await again();
      return found.every(({ identity }, i) => identity.onBehalfOf === resolved[i]?.identity.onBehalfOf);
    });
  }

  /** Whoever a message acts as, it asks for that. The connection is closed when its latest message would be refused. */
  #watch(connection: object, plan: HandlerPlan, every: number, again: () => Promise<unknown>): void {
    const known = this.#connections.get(connection);
    if (known) {
      known.again = again;
      return;
    }
    const watched = { again };
    this.#connections.set(connection, watched);
    const confirm = (): Promise<boolean> => watched.again().then(() => true);
    closeOnRefusal(connection, new Reauthorization(`The WebSocket of ${plan.name}`, every, confirm));
  }

  /** Decorators do not change while the app runs, and reading them for each request would cost more than all the rest. */
  #plan(type: Type, handler: Function): HandlerPlan {
    let ofClass = this.#plans.get(type);
    if (!ofClass) {
      this.#plans.set(type, (ofClass = new WeakMap()));
    }
    let plan = ofClass.get(handler);
    if (!plan) {
      const identities = Object.entries(actingOfHandler(type, handler)).map(([name, acting]) => ({
        client: this.#registry.get(name),
        acting,
      }));
      plan = {
        name: `${type.name}.${handler.name}`,
        identities,
        isSse: Reflect.hasMetadata(SSE, handler),
        runsWhenLast: undefined,
      };
      ofClass.set(handler, plan);
    }
    return plan;
  }

  /** Resolves one after the other. Continues in a promise from the first source that returns one. */
  #resolveAll(
    plan: HandlerPlan,
    context: ExecutionContext,
    moduleRef: ModuleRef,
    resolved: readonly ResolvedIdentity[],
  ): Resolution {
    const next = plan.identities[resolved.length];
    if (!next) {
      return resolved;
    }
    const { client } = next;
    const goOn = (identity: Identity): Resolution =>
      this.#resolveAll(plan, context, moduleRef, [...resolved, { client, identity }]);
    const identity = this.#resolve(next, plan, context, moduleRef);
    return identity instanceof Promise ? identity.then(goOn) : goOn(identity);
  }

  #resolve(
    { client, acting }: PlannedIdentity,
    plan: HandlerPlan,
    context: ExecutionContext,
    moduleRef: ModuleRef,
  ): Identity | Promise<Identity> {
    if (acting.as === 'client-application') {
      return clientApplicationIdentity(acting.reason, acting.purposeOfUse);
    }
    const source = acting.source ?? client.resolveOnBehalfOf;
    const who = source === undefined ? undefined : this.#ask(source, client, context, moduleRef);
    const read = (found: unknown): Identity => this.#identity(found, { client, acting }, plan, context);
    return isThenable(who) ? Promise.resolve(who).then(read) : read(who);
  }

  #identity(who: unknown, { client, acting }: PlannedIdentity, plan: HandlerPlan, context: ExecutionContext): Identity {
    if (who === undefined || who === null) {
      return this.#refuse(client, plan, context);
    }
    const onBehalfOf = client.identity.parse(who, `The identity resolved for ${plan.name}`);
    return scopeIdentity(onBehalfOf, who, acting.purposeOfUse);
  }

  #ask(source: OnBehalfOfSource, client: RegisteredClient, context: ExecutionContext, moduleRef: ModuleRef): unknown {
    if (typeof source === 'string') {
      return source;
    }
    if (!isResolverClass(source)) {
      return source(context);
    }
    return this.#resolver(source, context, moduleRef).then((resolver) => resolver.resolve(context, client.name));
  }

  async #resolver(
    type: Type<OnBehalfOfResolver>,
    context: ExecutionContext,
    moduleRef: ModuleRef,
  ): Promise<OnBehalfOfResolver> {
    if (isProvided(type, moduleRef)) {
      return moduleRef.resolve(type, this.#contexts.contextIdFor(type, context, moduleRef), { strict: false });
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

  #refuse(client: RegisteredClient, plan: HandlerPlan, context: ExecutionContext): never {
    const authenticated = client.isAuthenticated(context);
    this.#logger.warn(
      `@OnBehalfOf() on ${plan.name} found nobody to act for (client "${client.name}"), so the request was refused. ` +
        (authenticated
          ? 'The user is logged in: check that their account names a membership.'
          : 'Nobody is logged in: check that the authentication guard runs and sets request.user.'),
    );
    const type = context.getType<string>();
    if (['rpc', 'ws'].includes(type)) {
      throw new OnBehalfOfRequiredError(
        'The message was refused before its handler ran, because the source of @OnBehalfOf() returned nobody to act for.',
        { status: authenticated ? 403 : 401 },
      );
    }
    const refusal = authenticated ? new ForbiddenException() : new UnauthorizedException();
    throw type === 'graphql' ? withExtensions(refusal) : refusal;
  }
}

/** Where Nest keeps that a handler answers with server-sent events. */
const SSE = '__sse__';

/** Whether the handler may answer with a stream that lasts: in other contexts, responses are sent at once. */
function goesOnForLong({ isSse }: HandlerPlan, context: ExecutionContext): boolean {
  const type = context.getType<string>();
  if (type === 'http') {
    return isSse;
  }
  if (type === 'graphql') {
    const info = context.getArgByIndex<{ readonly operation?: { readonly operation?: string } } | undefined>(3);
    return info?.operation?.operation === 'subscription';
  }
  return true;
}

/** GraphQL copies them into its errors. Of Nest's drivers, only that of Apollo makes codes of statuses itself. */
function withExtensions(refusal: HttpException): HttpException {
  const status = refusal.getStatus();
  const code = status === 401 ? 'UNAUTHENTICATED' : 'FORBIDDEN';
  return Object.assign(refusal, { extensions: { code, http: { status } } });
}

function isProvided(type: Type, moduleRef: ModuleRef): boolean {
  try {
    moduleRef.introspect(type);
    return true;
  } catch {
    return false;
  }
}
