import 'reflect-metadata';
import { MetadataScanner } from '@nestjs/core';
import { MedplumConfigError } from '../errors/medplum-config.error';
import type { OnBehalfOfSource } from './on-behalf-of.source';

/** How a decorated handler acts for one client. */
export type Acting = { readonly purposeOfUse?: readonly string[] } & (
  | { readonly as: 'on-behalf-of'; readonly source: OnBehalfOfSource | undefined }
  | { readonly as: 'client-application'; readonly reason: string | undefined }
);

/** The mark of `@WithoutMedplum()`. A symbol, so that whoever lists the clients does not see it. */
const WITHOUT = Symbol.for('nestjs-medplum:without');

/** How one class or handler acts, by client name. */
export type ActingByClient = Readonly<Record<string, Acting>> & { readonly [WITHOUT]?: true };

const KEY = Symbol.for('nestjs-medplum:acting');

/** What a decorator that opens a scope itself, wherever the method is called from, says about a method. */
export interface RunActing {
  readonly client: string;
  readonly decorator: 'RunOnBehalfOf' | 'RunDelegated' | 'RunAsClientApplication';
  readonly reason: string | undefined;
}

const RUN = Symbol.for('nestjs-medplum:run');

/** Stores, for the route report, that a method opens a scope itself. */
export function defineRunActing(method: Function, acting: RunActing): void {
  Reflect.defineMetadata(RUN, [acting, ...runActingOf(method)], method);
}

/** The scopes that a method opens itself. */
export function runActingOf(method: Function): readonly RunActing[] {
  return (Reflect.getMetadata(RUN, method) as readonly RunActing[] | undefined) ?? [];
}

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

/** Stores that a class, or a method of its prototype, does not use Medplum. */
export function defineWithoutMedplum(type: Function): void;
export function defineWithoutMedplum(prototype: object, name: string | symbol, method: Function): void;
export function defineWithoutMedplum(target: object, name?: string | symbol, method?: Function): void {
  const mark = { [WITHOUT]: true } as const;
  if (name === undefined || method === undefined) {
    const prototype = (target as Function).prototype as object;
    Reflect.defineMetadata(KEY, { ...ownActing(prototype), ...mark }, prototype);
  } else {
    Reflect.defineMetadata(KEY, { ...ownActing(target, name), ...mark }, target, name);
    Reflect.defineMetadata(KEY, { ...ownActing(method), ...mark }, method);
  }
}

/** Whether `@WithoutMedplum()` says that these handlers do not use Medplum. */
export function isWithoutMedplum(acting: ActingByClient): boolean {
  return acting[WITHOUT] === true;
}

/**
 * How a handler acts, by client name. For each client, the handler wins over the class, and the nearest class of the
 * prototype chain wins over those above it. A subclass, or a method that overrides another one, inherits `@OnBehalfOf`
 * but never `@AsClientApplication`: extending a class must not grant the rights of the client. `@WithoutMedplum` takes all
 * that away, and whatever is nearer than it takes it back.
 *
 * @param name of the method. `undefined`: only what the class says.
 */
export function actingOf(prototype: object, name: string | undefined): ActingByClient {
  let onClass: ActingByClient = {};
  let onMethod: ActingByClient = {};
  for (const level of chainOf(prototype).toReversed()) {
    onClass = override(inheritable(onClass), ownActing(level));
    if (name !== undefined && Object.hasOwn(level, name)) {
      onMethod = override(inheritable(onMethod), actingAt(level, name));
    }
  }
  return override(onClass, onMethod);
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
  const entries = Object.entries(acting).filter(([, entry]) => entry.as === 'on-behalf-of');
  return { ...Object.fromEntries(entries), ...(isWithoutMedplum(acting) && { [WITHOUT]: true }) };
}

/** What is said nearer to the handler wins for its client, and `@WithoutMedplum` for all clients. */
function override(farther: ActingByClient, nearer: ActingByClient = {}): ActingByClient {
  if (isWithoutMedplum(nearer)) {
    return nearer;
  }
  if (Object.keys(nearer).length === 0) {
    return farther;
  }
  const { [WITHOUT]: _taken, ...clients } = farther;
  return { ...clients, ...nearer };
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
