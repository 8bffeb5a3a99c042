import 'reflect-metadata';
import type { OnBehalfOfSource } from './on-behalf-of.source';

/** How a decorated handler acts for one client. */
export type Acting =
  | { readonly as: 'on-behalf-of'; readonly source: OnBehalfOfSource | undefined }
  | { readonly as: 'client-application'; readonly reason: string | undefined };

/** How one class or handler acts, by client name. */
export type ActingByClient = Readonly<Record<string, Acting>>;

const KEY = Symbol.for('nestjs-medplum:acting');

/** Stores on a class or handler how one client acts there. Entries of other clients stay. */
export function defineActing(target: object, client: string, acting: Acting): void {
  Reflect.defineMetadata(KEY, { ...ownActing(target), [client]: acting }, target);
}

/** What is stored on this class or handler itself, without what it inherits. */
export function ownActing(target: object): ActingByClient | undefined {
  return Reflect.getOwnMetadata(KEY, target) as ActingByClient | undefined;
}

/**
 * How a handler acts, by client name. For each client, the handler wins over the class. A subclass inherits `@OnBehalfOf`
 * but never `@AsClientApplication`: extending a class must not grant the rights of the client.
 */
export function actingOf(handlerClass: object, handler: object): ActingByClient {
  const inherited = Object.entries((Reflect.getMetadata(KEY, handlerClass) as ActingByClient | undefined) ?? {});
  return {
    ...Object.fromEntries(inherited.filter(([, acting]) => acting.as === 'on-behalf-of')),
    ...ownActing(handlerClass),
    ...ownActing(handler),
  };
}
