import { MetadataScanner } from '@nestjs/core';
import type { Module } from '@nestjs/core/injector/module';
import { type ActingByClient, actingOf, actingOfMethod } from './acting-metadata';
import { areFieldsBare } from './field-resolvers';
import { type HandlerKind, handlerKind } from './handler-kind';

/** The fields that are read of Nest's entry for a provider or controller. */
interface Wrapper {
  readonly metatype: unknown;
  readonly instance: unknown;
  readonly isNotMetatype: boolean;
  readonly isFactory: boolean;
}

/** One class that Nest runs methods of. */
export interface Host {
  readonly module: Module;
  readonly type: Function;
  readonly prototype: Record<string, unknown>;
  /** The instance whose methods Nest runs, if it has methods of its own. Nest reads other handlers off the prototype. */
  readonly controller: object | undefined;
}

/** One method of a {@link Host}. */
export interface HostMethod {
  readonly name: string;
  /** `Class.method`. */
  readonly place: string;
  readonly method: Function;
  readonly kind: HandlerKind;
  /** Whether GraphQL runs it without guards and interceptors, so that decorators do nothing. */
  readonly isBare: boolean;
  /** What the decorators of the method itself say. */
  readonly own: ActingByClient;
  /** What those of the method and of its class say together. */
  readonly acting: ActingByClient;
}

/** The classes of an app that may have handlers, each once. A class that is a controller somewhere counts as one. */
export function* hostsIn(modules: Iterable<Module>): Iterable<Host> {
  const all = [...modules];
  const seen = new Set<object>();
  for (const areControllers of [true, false]) {
    for (const module of all) {
      for (const wrapper of (areControllers ? module.controllers : module.providers).values()) {
        const host = hostOf(module, wrapper, areControllers);
        if (host && !seen.has(host.prototype)) {
          seen.add(host.prototype);
          yield host;
        }
      }
    }
  }
}

/**
 * The methods of a class, those of its base classes included.
 *
 * @param modules of the app: their options decide how GraphQL runs field resolvers.
 */
export function methodsOf({ module, type, prototype }: Host, modules: Iterable<Module>): readonly HostMethod[] {
  const methods = new MetadataScanner().getAllMethodNames(prototype).map((name) => {
    const method = prototype[name] as Function;
    return { name, method, kind: handlerKind(method) };
  });
  const areBare = methods.some(({ kind }) => kind === 'field') && areFieldsBare(module, modules);
  return methods.map(({ name, method, kind }) => ({
    name,
    place: `${type.name}.${name}`,
    method,
    kind,
    isBare: kind === 'field' && areBare,
    own: actingOfMethod(prototype, name),
    acting: actingOf(prototype, name),
  }));
}

function hostOf(module: Module, wrapper: Wrapper, isController: boolean): Host | undefined {
  const instance: unknown = wrapper.instance;
  const isClass = typeof wrapper.metatype === 'function' && !wrapper.isNotMetatype && !wrapper.isFactory;
  const prototype: unknown = isClass
    ? wrapper.metatype.prototype
    : typeof instance === 'object' && instance !== null
      ? Object.getPrototypeOf(instance)
      : undefined;
  if (typeof prototype !== 'object' || prototype === null || prototype === Object.prototype) {
    return undefined;
  }
  const type: unknown = isClass ? wrapper.metatype : (prototype as { readonly constructor?: unknown }).constructor;
  return typeof type === 'function'
    ? {
        module,
        type,
        prototype: prototype as Record<string, unknown>,
        controller: isController ? ((instance as object | null) ?? prototype) : undefined,
      }
    : undefined;
}
