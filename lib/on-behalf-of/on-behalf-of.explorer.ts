import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { ApplicationConfig, LazyModuleLoader, ModulesContainer } from '@nestjs/core';
import { MedplumConfigError } from '../errors/medplum-config.error';
import { isMedplumError } from '../errors/medplum.error';
import { severalCopies } from '../shared/loaded-copies';
import { type Acting, type ActingByClient, actingOf, carriesActing, isWithoutMedplum } from './acting-metadata';
import { isCachedByUrl } from './cached-by-url';
import { BARE_FIELDS, CACHED, CONTRADICTION, DECIDE, LOST, NO_HANDLER, OVERRIDDEN } from './handler-problems';
import { type Host, type HostMethod, hostsIn, methodsOf } from './handlers';
import { type MedplumRoute, MedplumRouteReport } from './medplum-route-report';
import { OnBehalfOfGuard } from './on-behalf-of.guard';
import { OnBehalfOfInterceptor } from './on-behalf-of.interceptor';
import { isOnBehalfOfReference } from './on-behalf-of.reference';
import { OnBehalfOfRegistry, type RegisteredClient } from './on-behalf-of.registry';
import { RouteRules } from './routes.options';

/** Where `@UseGuards()` and `@UseInterceptors()` keep their lists. */
const GUARDS = '__guards__';
const INTERCEPTORS = '__interceptors__';

/** What a check found. */
interface Findings {
  /** Decorators that would do something else than they say. */
  readonly problems: string[];
  /** Handlers whose responses a cache would give to other users. */
  readonly cached: string[];
  /** Methods that another library may run, with or without guards and interceptors. */
  readonly unknown: string[];
  /** Field resolvers that run without guards and interceptors, although their class is decorated. */
  readonly fields: string[];
  /** Clients that have a default, although handlers are decorated for them. */
  readonly shadowed: Set<string>;
}

/** Checks all handlers at start-up, so that a wrong decorator stops the app instead of failing a request. */
@Injectable()
export class OnBehalfOfExplorer implements OnModuleInit, OnApplicationBootstrap {
  readonly #logger = new Logger('OnBehalfOf');
  readonly #modules: ModulesContainer;
  readonly #registry: OnBehalfOfRegistry;
  readonly #loader: LazyModuleLoader;
  readonly #config: ApplicationConfig;
  readonly #report: MedplumRouteReport;
  readonly #checked = new WeakSet<object>();

  constructor(
    modules: ModulesContainer,
    registry: OnBehalfOfRegistry,
    loader: LazyModuleLoader,
    config: ApplicationConfig,
    report: MedplumRouteReport,
  ) {
    this.#modules = modules;
    this.#registry = registry;
    this.#loader = loader;
    this.#config = config;
    this.#report = report;
  }

  /** @throws MedplumConfigError that lists every wrong decorator, and every handler that has to say how it acts. */
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
    const findings: Findings = { problems: [], cached: [], unknown: [], fields: [], shadowed: new Set() };
    const { problems, cached } = findings;
    for (const host of hostsIn(this.#modules.values())) {
      const before = problems.length + cached.length;
      if (!this.#checked.has(host.prototype)) {
        this.#checkHost(host, findings);
      }
      if (problems.length + cached.length === before) {
        this.#checked.add(host.prototype);
      }
    }
    const isEnforced = new RouteRules(this.#modules.values()).isEnforced;
    const undecided = isEnforced ? this.#report.undecided.map(shownRoute) : [];
    const messages = [
      list('Some decorators of nestjs-medplum are wrong:', problems),
      list('A cache would give the responses of one user to others:', cached),
      list("These handlers do not say how they act, and routes: 'enforce' asks every handler to:", undecided, DECIDE),
      problems.length > 0 ? (severalCopies() ?? '') : '',
    ].filter((message) => message !== '');
    if (messages.length > 0) {
      throw new MedplumConfigError(messages.join('\n'));
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

  #checkHost(host: Host, findings: Findings): void {
    const { type, prototype } = host;
    const { problems } = findings;
    const onClass = actingOf(prototype, undefined);
    this.#checkEntries(type.name, onClass, findings);
    const methods = methodsOf(host, this.#modules.values());
    if (isDecorated(onClass)) {
      if (!isEnhanced([type])) {
        problems.push(`${type.name}: ${LOST}`);
      } else if (!host.controller && !isHandlerClass(type) && methods.every(({ kind }) => kind === 'plain')) {
        problems.push(`${type.name}: ${NO_HANDLER}`);
      }
    }
    for (const method of methods) {
      this.#checkEntries(method.place, method.own, findings);
      this.#outline(method);
      this.#checkMethod(host, method, findings);
    }
  }

  #checkMethod(host: Host, one: HostMethod, { problems, cached, unknown, fields }: Findings): void {
    const { name, place, method, kind, own, acting } = one;
    if (one.isBare) {
      if (isDecorated(own)) {
        problems.push(`${place}: ${BARE_FIELDS}`);
      } else if (isDecorated(acting)) {
        fields.push(place);
      }
    } else if (kind === 'handler' || kind === 'field') {
      const running = runningMethod(host, name) ?? method;
      if (isDecorated(acting) && !(carriesActing(host.prototype, name, running) && isEnhanced([host.type, running]))) {
        problems.push(`${place}: ${isDecorated(own) ? LOST : OVERRIDDEN}`);
      }
      if (this.#registry.actsForUser(acting) && isCachedByUrl(host, one, this.#config)) {
        cached.push(`${place}: ${CACHED}`);
      }
    } else if (isDecorated(own) && kind === 'plain') {
      problems.push(`${place}: ${NO_HANDLER}`);
    } else if (isDecorated(own)) {
      unknown.push(place);
    }
  }

  /** Keeps what a call without an identity is told. */
  #outline({ place, kind, isBare, acting }: HostMethod): void {
    const { outline } = this.#registry;
    const clients = Object.keys(acting);
    if (isWithoutMedplum(acting) && kind !== 'plain') {
      outline.addWithoutMedplum(place);
    } else if (kind === 'field' && (isBare || clients.length === 0)) {
      outline.addBareField(place);
    } else if (kind === 'handler' || kind === 'field') {
      clients.forEach((client) => outline.addHandler(client, place));
    }
  }

  #checkEntries(place: string, acting: ActingByClient, findings: Findings): void {
    if (isWithoutMedplum(acting) && isDecorated(acting)) {
      findings.problems.push(`${place}: ${CONTRADICTION}`);
    }
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

function list(title: string, lines: readonly string[], after?: string): string {
  return lines.length === 0 ? '' : [title, ...lines.map((line) => `- ${line}`), ...(after ? [after] : [])].join('\n');
}

function shownRoute({ address, className, handler }: MedplumRoute): string {
  return `${className}.${handler} (${address})`;
}

function isDecorated(acting: ActingByClient): boolean {
  return Object.keys(acting).length > 0;
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
