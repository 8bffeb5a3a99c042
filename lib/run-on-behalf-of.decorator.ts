import { Inject } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { MedplumConfigError } from './errors/medplum-config.error';
import type { MedplumService } from './medplum.service';
import { getMedplumToken } from './medplum.tokens';
import { defineRunActing, type RunActing } from './on-behalf-of/acting-metadata';
import { findProvider } from './on-behalf-of/find-provider';
import type { AsClientApplicationOptions, OnBehalfOfDecoratorOptions } from './on-behalf-of/on-behalf-of.decorator';
import type { OnBehalfOfInput } from './on-behalf-of/on-behalf-of.reference';
import type { ScopeOptions } from './on-behalf-of/purpose-of-use';
import { DEFAULT_CLIENT, OnBehalfOfRegistry } from './on-behalf-of/on-behalf-of.registry';

const MODULE_REF = Symbol('nestjs-medplum:ModuleRef');

interface MadeByNest {
  readonly [MODULE_REF]?: ModuleRef;
}

type Scopes = Pick<MedplumService, 'onBehalfOf' | 'asClientApplication'>;

/** A decorator for methods that get the arguments `A`, or more of them. */
export type MethodOf<A extends readonly unknown[]> = <P extends readonly [...A, ...unknown[]], R>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<(...args: P) => R>,
) => void;

/** Finds the scopes of a client. A unit test without MedplumModule may mock `MedplumService`, and then the mock opens them. */
function findScopes(moduleRef: ModuleRef, client: string | undefined): Scopes {
  try {
    return findProvider(moduleRef, OnBehalfOfRegistry).get(client ?? DEFAULT_CLIENT).identity;
  } catch (error) {
    const mock = mockedService(moduleRef, client);
    if (mock) {
      return mock;
    }
    throw error;
  }
}

function mockedService(moduleRef: ModuleRef, client: string | undefined): Scopes | undefined {
  try {
    const service = moduleRef.get<Partial<Scopes>>(getMedplumToken(client), { strict: false });
    return service.onBehalfOf ? (service as Scopes) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Makes Nest inject the `ModuleRef`, and keeps it in a `WeakMap`. As a property of the instance, it would lead whatever
 * prints the instance to all providers of the app, and to their secrets.
 */
function injectModuleRef(target: object): void {
  const refs = new WeakMap<object, ModuleRef>();
  Object.defineProperty(target, MODULE_REF, {
    configurable: true,
    get(this: object) {
      return refs.get(this);
    },
    set(this: object, moduleRef: ModuleRef) {
      refs.set(this, moduleRef);
    },
  });
  Inject(ModuleRef)(target, MODULE_REF);
}

function runInScope<A extends readonly unknown[]>(
  decorator: RunActing['decorator'],
  { client, reason }: AsClientApplicationOptions,
  run: (scopes: Scopes, method: () => unknown, self: unknown, args: A) => unknown,
): MethodOf<A> {
  const acting = { decorator, client: client ?? DEFAULT_CLIENT, reason };
  return wrapMethod<A>(acting, (moduleRef, ...rest) => run(findScopes(moduleRef, client), ...rest));
}

/**
 * @internal Wraps a method so that `run` calls it, wherever it is called from. It keeps the metadata of other decorators.
 */
export function wrapMethod<A extends readonly unknown[]>(
  acting: RunActing,
  run: (moduleRef: ModuleRef, method: () => unknown, self: unknown, args: A) => unknown,
): MethodOf<A> {
  const { decorator } = acting;
  return (target, key, descriptor) => {
    const method = descriptor.value;
    if (typeof target === 'function' || !method) {
      throw new MedplumConfigError(
        `@${decorator}() is on something that is not a method of an instance. Put it on a method of a provider, and not on a static one.`,
      );
    }
    injectModuleRef(target);
    const name = `${target.constructor.name}.${String(key)}`;
    const wrapper = function (this: MadeByNest | undefined, ...args: A): unknown {
      const moduleRef = this?.[MODULE_REF];
      if (!moduleRef) {
        throw new MedplumConfigError(
          `@${decorator}() on ${name} cannot run, because Nest did not create the instance. List the class in the providers of a module and inject it instead of calling new.`,
        );
      }
      return run(moduleRef, () => Reflect.apply(method, this, args), this, args);
    };
    Object.defineProperty(wrapper, 'name', { value: method.name });
    for (const metadataKey of Reflect.getMetadataKeys(method)) {
      Reflect.defineMetadata(metadataKey, Reflect.getMetadata(metadataKey, method), wrapper);
    }
    defineRunActing(wrapper, acting);
    descriptor.value = wrapper as unknown as typeof method;
  };
}

/**
 * Runs a method on behalf of the identity that `who` returns. It is for code that Nest runs without guards and
 * interceptors: cron jobs, queue processors, event listeners.
 *
 * @param who gets the arguments of the method and returns the identity. It must be synchronous and always return one.
 * Declare the types of its parameters. The compiler checks them against the method, but cannot infer them.
 * @throws OnBehalfOfReferenceError (from the method) when `who` returns no valid identity, MedplumConfigError when Nest
 * did not create the instance.
 * @example
 * ```ts
 * @RunOnBehalfOf((job: Job<Reminder>) => job.data.membership)
 * async process(job: Job<Reminder>) {}
 * ```
 */
export function RunOnBehalfOf<A extends readonly unknown[]>(
  who: (...args: A) => OnBehalfOfInput,
  options: OnBehalfOfDecoratorOptions = {},
): MethodOf<A> {
  const { purposeOfUse } = options;
  const scopeOptions: [ScopeOptions?] = purposeOfUse === undefined ? [] : [{ purposeOfUse }];
  return runInScope<A>('RunOnBehalfOf', options, (scopes, method, self, args) =>
    scopes.onBehalfOf(Reflect.apply(who, self, args), method, ...scopeOptions),
  );
}

/**
 * Runs a method with the rights of the client, a project admin. Use it for code that Nest runs without guards and
 * interceptors.
 *
 * @throws MedplumConfigError (from the method) when Nest did not create the instance.
 */
export function RunAsClientApplication(options: AsClientApplicationOptions = {}): MethodOf<[]> {
  return runInScope<[]>('RunAsClientApplication', options, (scopes, method) =>
    scopes.asClientApplication(method, options),
  );
}
