import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { LazyModuleLoader, MetadataScanner, ModulesContainer } from '@nestjs/core';
import type { Module } from '@nestjs/core/injector/module';
import { MedplumConfigError } from '../errors/medplum-config.error';
import { isMedplumError } from '../errors/medplum.error';
import { severalCopies } from '../shared/loaded-copies';
import { type Acting, actingOf, actingOfMethod, carriesActing } from './acting-metadata';
import { areFieldsBare } from './field-resolvers';
import { type HandlerKind, handlerKind } from './handler-kind';
import { OnBehalfOfGuard } from './on-behalf-of.guard';
import { OnBehalfOfInterceptor } from './on-behalf-of.interceptor';
import { isOnBehalfOfReference } from './on-behalf-of.reference';
import { OnBehalfOfRegistry, type RegisteredClient } from './on-behalf-of.registry';

/** Where `@UseGuards()` and `@UseInterceptors()` keep their lists. */
const GUARDS = '__guards__';
const INTERCEPTORS = '__interceptors__';

/** The fields that are read of Nest's entry for a provider or controller. */
interface Wrapper {
  readonly metatype: unknown;
  readonly instance: unknown;
  readonly isNotMetatype: boolean;
  readonly isFactory: boolean;
}

/** One class that Nest runs methods of. */
interface Host {
  readonly module: Module;
  readonly type: Function;
  readonly prototype: Record<string, unknown>;
  /** The instance whose methods Nest runs, if it has methods of its own. Nest reads other handlers off the prototype. */
  readonly controller: object | undefined;
}

/** What a check of one class found. */
interface Findings {
  readonly problems: string[];
  /** Methods that another library may run, with or without guards and interceptors. */
  readonly unknown: string[];
  /** Field resolvers that run without guards and interceptors, although their class is decorated. */
  readonly fields: string[];
  /** Clients that have a default, although handlers are decorated for them. */
  readonly shadowed: Set<string>;
}

/** Checks all decorators at start-up, so that a wrong one stops the app instead of failing a request. */
@Injectable()
export class OnBehalfOfExplorer implements OnModuleInit, OnApplicationBootstrap {
  readonly #logger = new Logger('OnBehalfOf');
  readonly #scanner = new MetadataScanner();
  readonly #modules: ModulesContainer;
  readonly #registry: OnBehalfOfRegistry;
  readonly #loader: LazyModuleLoader;
  readonly #checked = new WeakSet<object>();

  constructor(modules: ModulesContainer, registry: OnBehalfOfRegistry, loader: LazyModuleLoader) {
    this.#modules = modules;
    this.#registry = registry;
    this.#loader = loader;
  }

  /** @throws MedplumConfigError that lists every wrong decorator. */
  onModuleInit(): void {
    this.#check();
    this.#checkLazyModules();
  }

  onApplicationBootstrap(): void {
    this.#registry.outline.isStarted = true;
  }

  /** Nest runs no lifecycle hook when it loads a module lazily, and tells nobody that it did. */
  #checkLazyModules(): void {
    const loader = this.#loader;
    const load = loader.load.bind(loader);
    loader.load = async (...args) => {
      const moduleRef = await load(...args);
      this.#check();
      return moduleRef;
    };
  }

  /** Checks the classes that have not been checked yet. */
  #check(): void {
    const findings: Findings = { problems: [], unknown: [], fields: [], shadowed: new Set() };
    for (const host of this.#hosts()) {
      const before = findings.problems.length;
      this.#checkHost(host, findings);
      if (findings.problems.length === before) {
        this.#checked.add(host.prototype);
      }
    }
    if (findings.problems.length > 0) {
      const copies = severalCopies();
      throw new MedplumConfigError(
        `Some decorators of nestjs-medplum are wrong:\n- ${findings.problems.join('\n- ')}${copies === undefined ? '' : `\n${copies}`}`,
      );
    }
    this.#warn(findings);
  }

  #warn({ unknown, fields, shadowed }: Findings): void {
    if (fields.length > 0) {
      this.#logger.warn(
        `The decorator of the class does nothing for these field resolvers: ${fields.join(', ')}. ${BARE_FIELDS}`,
      );
    }
    if (unknown.length > 0) {
      this.#logger.warn(
        `Decorators of nestjs-medplum are on methods that Nest itself does not run: ${unknown.join(', ')}. If the library that runs them uses no guards and interceptors, the decorators do nothing. Use @RunOnBehalfOf() or @RunAsClientApplication() there.`,
      );
    }
    for (const name of shadowed) {
      this.#logger.warn(
        `The client "${name}" has a defaultOnBehalfOf, and some handlers are decorated for it. A call outside the scope of a handler runs as the default, not as the user. Leave defaultOnBehalfOf out if you do not want that.`,
      );
    }
  }

  *#hosts(): Iterable<Host> {
    const seen = new Set<object>();
    for (const module of this.#modules.values()) {
      for (const [wrappers, areControllers] of [
        [module.controllers, true],
        [module.providers, false],
      ] as const) {
        for (const wrapper of wrappers.values()) {
          const host = hostOf(module, wrapper, areControllers);
          if (host && !seen.has(host.prototype) && !this.#checked.has(host.prototype)) {
            seen.add(host.prototype);
            yield host;
          }
        }
      }
    }
  }

  #checkHost(host: Host, findings: Findings): void {
    const { type, prototype } = host;
    const onClass = actingOf(prototype, undefined);
    this.#checkEntries(type.name, onClass, findings);
    const methods = this.#scanner
      .getAllMethodNames(prototype)
      .map((name) => ({ name, method: prototype[name] as Function }))
      .map(({ name, method }) => ({ name, method, kind: handlerKind(method) }));
    if (Object.keys(onClass).length > 0) {
      if (!isEnhanced([type])) {
        findings.problems.push(`${type.name}: ${LOST}`);
      } else if (!host.controller && !isHandlerClass(type) && methods.every(({ kind }) => kind === 'plain')) {
        findings.problems.push(`${type.name}: ${NO_HANDLER}`);
      }
    }
    const areBare = methods.some(({ kind }) => kind === 'field') && areFieldsBare(host.module, this.#modules.values());
    for (const { name, method, kind } of methods) {
      const place = `${type.name}.${name}`;
      const own = actingOfMethod(prototype, name);
      this.#checkEntries(place, own, findings);
      const isDecorated = Object.keys(own).length > 0;
      this.#outline(place, kind, areBare, Object.keys(actingOf(prototype, name)));
      if (kind === 'field' && areBare) {
        if (isDecorated) {
          findings.problems.push(`${place}: ${BARE_FIELDS}`);
        } else if (Object.keys(onClass).length > 0) {
          findings.fields.push(place);
        }
      } else if (kind === 'handler' || kind === 'field') {
        const running = runningMethod(host, name) ?? method;
        const acts = isDecorated || Object.keys(actingOf(prototype, name)).length > 0;
        if (acts && !(carriesActing(prototype, name, running) && isEnhanced([type, running]))) {
          findings.problems.push(`${place}: ${isDecorated ? LOST : OVERRIDDEN}`);
        }
      } else if (isDecorated && kind === 'plain') {
        findings.problems.push(`${place}: ${NO_HANDLER}`);
      } else if (isDecorated) {
        findings.unknown.push(place);
      }
    }
  }

  /** Keeps what a call without an identity is told. */
  #outline(place: string, kind: HandlerKind, areBare: boolean, clients: readonly string[]): void {
    const { outline } = this.#registry;
    if (kind === 'field' && (areBare || clients.length === 0)) {
      outline.addBareField(place);
    } else if (kind === 'handler' || kind === 'field') {
      clients.forEach((client) => outline.addHandler(client, place));
    }
  }

  #checkEntries(place: string, acting: Readonly<Record<string, Acting>>, findings: Findings): void {
    for (const [name, entry] of Object.entries(acting)) {
      try {
        const client = this.#registry.get(name);
        checkSource(entry, client);
        if (entry.as === 'on-behalf-of' && client.hasDefault) {
          findings.shadowed.add(name);
        }
      } catch (error) {
        findings.problems.push(`${place}: ${isMedplumError(error) ? error.message : 'the decorator cannot be read'}`);
      }
    }
  }
}

const LOST =
  'another decorator replaced it and lost its metadata, so neither the guard nor the interceptor of the library would run. Put that decorator below @OnBehalfOf() and @AsClientApplication(), or make it copy the metadata.';
const OVERRIDDEN =
  'it overrides a method with @OnBehalfOf(), but Nest does not inherit guards and interceptors of methods. Decorate it as well.';
const BARE_FIELDS =
  "GraphQL runs field resolvers without guards and interceptors. Set fieldResolverEnhancers: ['guards', 'interceptors'] in the options of GraphQLModule, or decorate the method with @RunOnBehalfOf().";
const NO_HANDLER =
  'Nest runs guards and interceptors only for HTTP, GraphQL, WebSocket and microservice handlers, and this is none, so @OnBehalfOf() and @AsClientApplication() would do nothing. Use @RunOnBehalfOf() or @RunAsClientApplication() on the method. If it is a handler, another decorator replaced it and lost its metadata: put that one below.';

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

/** The function that Nest takes off an instance, when that hides the method of the class. */
function runningMethod({ controller }: Host, name: string): Function | undefined {
  const own: unknown = controller && Object.getOwnPropertyDescriptor(controller, name)?.value;
  return typeof own === 'function' ? own : undefined;
}

/** Gateways and resolvers: a class of the app may inherit their handlers later, so they need none of their own. */
function isHandlerClass(type: Function): boolean {
  return (Reflect.getMetadataKeys(type) as unknown[]).some((key) => /^(graphql:|websockets:)/.test(String(key)));
}

/** Whether the guard and the interceptor of the library run for a handler with these decorators. */
function isEnhanced(targets: readonly Function[]): boolean {
  return isListed(targets, GUARDS, OnBehalfOfGuard) && isListed(targets, INTERCEPTORS, OnBehalfOfInterceptor);
}

function isListed(targets: readonly Function[], key: string, type: Function): boolean {
  const listed = targets.flatMap((target) => (Reflect.getMetadata(key, target) as unknown[] | undefined) ?? []);
  return listed.some((one) =>
    typeof one === 'function' ? one === type || one.prototype instanceof type : one instanceof type,
  );
}

/** @throws MedplumConfigError or OnBehalfOfReferenceError when a decorator has no valid source. */
function checkSource(entry: Acting, client: RegisteredClient): void {
  if (entry.as === 'client-application') {
    return;
  }
  const source: unknown = entry.source ?? client.resolveOnBehalfOf;
  if (source === undefined) {
    throw new MedplumConfigError(
      '@OnBehalfOf() has no source. Pass one, or set the resolveOnBehalfOf option of the module.',
    );
  }
  if (typeof source === 'function') {
    return;
  }
  if (typeof source !== 'string' || !isOnBehalfOfReference(source)) {
    throw new MedplumConfigError(
      '@OnBehalfOf() has an invalid source. Pass a full reference such as ProjectMembership/<id>, a function or a resolver class.',
    );
  }
  client.identity.parse(source, 'The reference in the decorator');
}
