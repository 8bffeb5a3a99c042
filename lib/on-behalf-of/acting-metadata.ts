import 'reflect-metadata';
import { MetadataScanner } from '@nestjs/core';
import { MedplumConfigError } from '../errors/medplum-config.error';
import type { OnBehalfOfSource } from './on-behalf-of.source';

/** How a decorated handler acts for one client. */
export type Acting = { readonly purposeOfUse?: readonly string[] } & (
  | { readonly as: 'on-behalf-of'; readonly source: OnBehalfOfSource | undefined }
  | { readonly as: 'client-application'; readonly reason: string | undefined }
);

/** How one class or handler acts, by client name. */
export type ActingByClient = Readonly<Record<string, Acting>>;

const KEY = Symbol.for('nestjs-medplum:acting');

/** Stores how one client acts in all handlers of a class. Entries of other clients stay. */
export function defineClassActing(type: Function, client: string, acting: Acting): void {
  const prototype = type.prototype as object;
  Reflect.defineMetadata(KEY, { ...ownActing(prototype), [client]: acting }, prototype);
}

/**
 * Stores how one client acts in a method. Entries of other clients stay. The entry stands under the class and the name of
 * the method, where no other decorator can lose it, and on the function, to tell whether Nest runs that function.
 */
export function defineMethodActing(
  prototype: object,
  name: string | symbol,
  method: Function,
  client: string,
  acting: Acting,
): void {
  Reflect.defineMetadata(KEY, { ...ownActing(prototype, name), [client]: acting }, prototype, name);
  Reflect.defineMetadata(KEY, { ...ownActing(method), [client]: acting }, method);
}

/**
 * How a handler acts, by client name. For each client, the handler wins over the class, and the nearest class of the
 * prototype chain wins over those above it. A subclass, or a method that overrides another one, inherits `@OnBehalfOf`
 * but never `@AsClientApplication`: extending a class must not grant the rights of the client.
 *
 * @param name of the method. `undefined`: only what the class says.
 */
export function actingOf(prototype: object, name: string | undefined): ActingByClient {
  let onClass: ActingByClient = {};
  let onMethod: ActingByClient = {};
  for (const level of chainOf(prototype).toReversed()) {
    onClass = { ...inheritable(onClass), ...ownActing(level) };
    if (name !== undefined && Object.hasOwn(level, name)) {
      onMethod = { ...inheritable(onMethod), ...actingAt(level, name) };
    }
  }
  return { ...onClass, ...onMethod };
}

/** What the decorators of the method itself say, without those of the class and of methods that it overrides. */
export function actingOfMethod(prototype: object, name: string): ActingByClient {
  const level = chainOf(prototype).find((one) => Object.hasOwn(one, name));
  return level ? actingAt(level, name) : {};
}

/** Whether `running`, the function that Nest runs for a method, carries everything that the method was decorated with. */
export function carriesActing(prototype: object, name: string, running: Function): boolean {
  const carried = ownActing(running);
  return Object.entries(actingOfMethod(prototype, name)).every(([client, acting]) => carried?.[client] === acting);
}

/**
 * How the function that Nest runs as a handler acts. Tools that wrap handlers, such as tracers, keep the name or the
 * metadata.
 *
 * @throws MedplumConfigError when the function is none of the class, although methods of the class are decorated.
 */
export function actingOfHandler(type: Function, handler: Function): ActingByClient {
  const prototype = type.prototype as Record<string, unknown>;
  const names = new MetadataScanner().getAllMethodNames(prototype);
  const called = handler.name.replace(/^bound /, '');
  const name = names.find((one) => prototype[one] === handler) ?? names.find((one) => one === called);
  const carried = ownActing(handler);
  if (name === undefined && !carried && names.some((one) => Object.keys(actingOfMethod(prototype, one)).length > 0)) {
    throw new MedplumConfigError(
      `A handler of ${type.name} is not a method of the class, so its decorators are not known. Something replaced the method after it was decorated. Make it copy the metadata of the method.`,
    );
  }
  return { ...actingOf(prototype, name), ...carried };
}

function actingAt(level: object, name: string): ActingByClient {
  const method: unknown = Object.getOwnPropertyDescriptor(level, name)?.value;
  // A mixin copies functions from one prototype to another.
  return { ...(typeof method === 'function' ? ownActing(method) : undefined), ...ownActing(level, name) };
}

function inheritable(acting: ActingByClient): ActingByClient {
  return Object.fromEntries(Object.entries(acting).filter(([, entry]) => entry.as === 'on-behalf-of'));
}

function ownActing(target: object, name?: string | symbol): ActingByClient | undefined {
  return (name === undefined ? Reflect.getOwnMetadata(KEY, target) : Reflect.getOwnMetadata(KEY, target, name)) as
    ActingByClient | undefined;
}

/** The prototypes of a class, from its own to that of its topmost base class. */
function chainOf(prototype: object): object[] {
  const chain: object[] = [];
  for (
    let level: object | null = prototype;
    level && level !== Object.prototype;
    level = Object.getPrototypeOf(level)
  ) {
    chain.push(level);
  }
  return chain;
}
