import 'reflect-metadata';
import type { OnBehalfOfSource } from './on-behalf-of.source';

/** What a decorator says about one client. */
export type Acting =
  | { readonly as: 'on-behalf-of'; readonly source: OnBehalfOfSource | undefined }
  | { readonly as: 'client-application'; readonly reason: string | undefined };

/** What the decorators of one class or handler say, by client name. */
export type ActingByClient = Readonly<Record<string, Acting>>;

const KEY = Symbol.for('nestjs-medplum:acting');

/** Notes on a class or a handler how one client acts there, beside what is noted for other clients. */
export function defineActing(target: object, client: string, acting: Acting): void {
  Reflect.defineMetadata(KEY, { ...ownActing(target), [client]: acting }, target);
}

/** What is noted on this very class or handler. */
export function ownActing(target: object): ActingByClient | undefined {
  return Reflect.getOwnMetadata(KEY, target) as ActingByClient | undefined;
}

/**
 * What holds for a handler: the handler wins over the class, per client. A subclass inherits `@OnBehalfOf`, but never
 * `@AsClientApplication`: the rights of the client are taken where they are written, not by extending a class.
 */
export function actingOf(handlerClass: object, handler: object): ActingByClient {
  const inherited = Object.entries((Reflect.getMetadata(KEY, handlerClass) as ActingByClient | undefined) ?? {});
  return {
    ...Object.fromEntries(inherited.filter(([, acting]) => acting.as === 'on-behalf-of')),
    ...ownActing(handlerClass),
    ...ownActing(handler),
  };
}
