import { RequestMethod } from '@nestjs/common';
import type { ApplicationConfig } from '@nestjs/core';
import type { Host, HostMethod } from './handlers';

/** Where `@CacheKey()` of `@nestjs/cache-manager` keeps its key: text, or a function of the context. */
const CACHE_KEY = 'cache_module:cache_key';

/** An interceptor: its prototype, and the instance if there is one. */
interface Interceptor {
  readonly prototype: object;
  readonly instance: { readonly allowedMethods?: unknown } | undefined;
}

/**
 * Whether `CacheInterceptor` of `@nestjs/cache-manager` would keep a response of the handler under a key that all users
 * share: its URL, or a fixed `@CacheKey()`. A subclass with its own `trackBy()` makes its own keys, and so does a function
 * in `@CacheKey()`.
 */
export function isCachedByUrl(host: Host, { method }: HostMethod, config: ApplicationConfig): boolean {
  const caches = interceptorsOf(host, method, config).filter(({ prototype }) => tracksByUrl(prototype));
  const key: unknown = Reflect.getMetadata(CACHE_KEY, method);
  if (typeof key === 'function') {
    return false;
  }
  const verb: unknown = Reflect.getMetadata('method', method);
  return caches.some(({ instance }) => {
    const allowed = Array.isArray(instance?.allowedMethods) ? instance.allowedMethods : ['GET'];
    return Boolean(key) || verb === RequestMethod.ALL || allowed.includes(RequestMethod[verb as RequestMethod]);
  });
}

function interceptorsOf({ module, type }: Host, method: Function, config: ApplicationConfig): Interceptor[] {
  const listed = [type, method].flatMap(
    (target) => (Reflect.getMetadata('__interceptors__', target) as unknown[] | undefined) ?? [],
  );
  const ofRequests = config.getGlobalRequestInterceptors().map((wrapper): unknown => wrapper.metatype);
  return [...config.getGlobalInterceptors(), ...ofRequests, ...listed].flatMap((one): Interceptor[] => {
    if (typeof one === 'function') {
      const instance: unknown = module.injectables.get(one as never)?.instance;
      return [{ prototype: one.prototype as object, instance: instance ?? undefined }];
    }
    return typeof one === 'object' && one !== null ? [{ prototype: one, instance: one }] : [];
  });
}

/** Whether the nearest `trackBy()` is that of Nest's class, which is recognised without importing its package. */
function tracksByUrl(prototype: object | undefined): boolean {
  let level: object | null = prototype ?? null;
  while (level && level !== Object.prototype) {
    if (Object.hasOwn(level, 'trackBy')) {
      return level.constructor.name === 'CacheInterceptor' && Object.hasOwn(level, 'isRequestCacheable');
    }
    level = Object.getPrototypeOf(level) as object | null;
  }
  return false;
}
