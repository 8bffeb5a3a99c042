import type { ExecutionContext, InjectionToken, Type } from '@nestjs/common';
import { type ContextId, ContextIdFactory, type ModuleRef, type ModulesContainer, REQUEST } from '@nestjs/core';
import { MedplumConfigError } from '../errors/medplum-config.error';
import { type OnBehalfOfResolver, requestOf } from './on-behalf-of.source';

/** What is read of Nest's entry for a provider. */
interface Wrapper {
  readonly metatype: unknown;
  isDependencyTreeStatic(): boolean;
  isDependencyTreeDurable(): boolean;
}

/** What the providers that a resolver consists of do with the request. */
interface RequestUse {
  /** The resolver serves all requests of a tenant, so it must get nothing of one of them. */
  readonly isDurable: boolean;
  /** The resolver serves one request, but a durable provider under it injects `REQUEST` and keeps it for its tenant. */
  readonly isKeptBelow: boolean;
}

const UNUSED: RequestUse = { isDurable: false, isKeptBelow: false };

/** Finds the context in which Nest creates a request-scoped resolver, and says what it injects as `REQUEST` there. */
export class ResolverContexts {
  readonly #modules: ModulesContainer;
  readonly #uses = new WeakMap<Type<OnBehalfOfResolver>, RequestUse>();

  constructor(modules: ModulesContainer) {
    this.#modules = modules;
  }

  /**
   * As Nest does it for handlers: a durable resolver gets the payload of the `ContextIdStrategy` as its `REQUEST`, never
   * the request, which it would keep for others. In GraphQL, `CONTEXT` and `REQUEST` are the GraphQL context.
   *
   * @throws MedplumConfigError when a durable provider under the resolver would keep this request for others.
   */
  contextIdFor(type: Type<OnBehalfOfResolver>, context: ExecutionContext, moduleRef: ModuleRef): ContextId {
    const isGraphql = context.getType<string>() === 'graphql';
    const request = isGraphql ? context.getArgByIndex<object | undefined>(2) : requestOf(context);
    if (!request) {
      const created = ContextIdFactory.create();
      moduleRef.registerRequestByContextId(undefined, created);
      return created;
    }
    const contextId = ContextIdFactory.getByRequest(request, [isGraphql ? 'req' : 'raw']);
    const { isDurable, isKeptBelow } = this.#useOf(type);
    if (isKeptBelow && contextId.getParent && contextId.payload === undefined) {
      throw new MedplumConfigError(
        `${type.name} depends on a durable provider that injects REQUEST, and the ContextIdStrategy of the app returns no payload. The provider would keep one request and use it for others. Return { resolve, payload } from attach(), or do not inject REQUEST there.`,
      );
    }
    if (!isDurable || !contextId.getParent) {
      moduleRef.registerRequestByContextId(request, contextId);
      return contextId;
    }
    // A copy leads to the same durable instances, and other providers of this request keep their `REQUEST`.
    const shared: ContextId = { ...contextId };
    moduleRef.registerRequestByContextId(shared.payload, shared);
    return shared;
  }

  #useOf(type: Type<OnBehalfOfResolver>): RequestUse {
    let use = this.#uses.get(type);
    if (!use) {
      use = this.#read(type);
      this.#uses.set(type, use);
    }
    return use;
  }

  #read(type: Type<OnBehalfOfResolver>): RequestUse {
    const scoped = this.#wrappersOf(type).filter((wrapper) => !wrapper.isDependencyTreeStatic());
    return scoped.length === 0
      ? UNUSED
      : {
          isDurable: scoped.some((wrapper) => wrapper.isDependencyTreeDurable()),
          isKeptBelow: scoped.some(
            (wrapper) => !wrapper.isDependencyTreeDurable() && this.#keepsRequest(wrapper, new Set()),
          ),
        };
  }

  #wrappersOf(token: unknown): Wrapper[] {
    return [...this.#modules.values()].flatMap((module): Wrapper[] => {
      const wrapper = module.providers.get(token as InjectionToken);
      return wrapper ? [wrapper] : [];
    });
  }

  /** Whether a durable provider among the dependencies injects `REQUEST`. */
  #keepsRequest(wrapper: Wrapper, seen: Set<unknown>): boolean {
    if (seen.has(wrapper)) {
      return false;
    }
    seen.add(wrapper);
    const tokens = injectedBy(wrapper.metatype);
    return (
      (wrapper.isDependencyTreeDurable() && tokens.includes(REQUEST)) ||
      tokens.flatMap((token) => this.#wrappersOf(token)).some((dependency) => this.#keepsRequest(dependency, seen))
    );
  }
}

/** What the decorators of a class say it injects. Nest 11 knows it of its entries only once it has made an instance. */
function injectedBy(type: unknown): unknown[] {
  if (typeof type !== 'function') {
    return [];
  }
  const read = (key: string): readonly unknown[] => (Reflect.getMetadata(key, type) as unknown[] | undefined) ?? [];
  const tokens = [...read('design:paramtypes')];
  for (const { index, param } of read('self:paramtypes') as readonly { index: number; param: unknown }[]) {
    tokens[index] = param;
  }
  const properties = (read('self:properties_metadata') as readonly { type: unknown }[]).map(
    (property) => property.type,
  );
  return [...tokens, ...properties].map((token) => {
    const { forwardRef } = Object(token) as { readonly forwardRef?: () => unknown };
    return forwardRef ? forwardRef() : token;
  });
}
