import { Injectable } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { type Acting, isWithoutMedplum, type RunActing, runActingOf } from './acting-metadata';
import { type Host, type HostMethod, hostsIn, methodsOf } from './handlers';
import { addressesOf, type MedplumRouteKind } from './route-address';
import { RouteRules } from './routes.options';

/** Which identity a handler has for the calls of one client. */
export interface MedplumRouteIdentity {
  /** Name of the client. `default` for the unnamed one. */
  readonly client: string;
  /** The decorator that says so. */
  readonly decorator:
    'OnBehalfOf' | 'AsClientApplication' | 'RunOnBehalfOf' | 'RunDelegated' | 'RunAsClientApplication';
  /**
   * Where the identity comes from: the name of a function or class, `reference` for a fixed one (never the reference
   * itself), `resolveOnBehalfOf` for that option of the client. `undefined` for the rights of the client.
   */
  readonly source: string | undefined;
  /** Why the handler needs the rights of the client. */
  readonly reason: string | undefined;
}

/** One handler of the app, and how it gets its identity. */
export interface MedplumRoute {
  /** What calls it. */
  readonly kind: MedplumRouteKind;
  /** Name of the controller, resolver, gateway or provider. */
  readonly className: string;
  /** Name of the method. */
  readonly handler: string;
  /**
   * What it responds to, as its decorators say: `GET /patients/:id`, `Query patient`, the name of a message, a pattern.
   * Without the global prefix, the prefix of a RouterModule, and versions. Empty for the kind `method`.
   */
  readonly address: string;
  /** Its identities, one for each client that it acts for. Empty if its calls would be refused. */
  readonly identities: readonly MedplumRouteIdentity[];
  /** Whether `@WithoutMedplum()` is on the handler or its class. */
  readonly withoutMedplum: boolean;
  /**
   * Whether it ought to say how it acts, and does not. Field resolvers of GraphQL and handlers in `routes.exclude` need
   * not.
   */
  readonly undecided: boolean;
}

/**
 * Knows each handler of each controller, resolver and gateway, those of lazily loaded modules included, and how it gets
 * its identity. It also lists the methods with `@RunOnBehalfOf()` and `@RunAsClientApplication()`. Inject it, or run
 * `npx nestjs-medplum routes`. It names no ids.
 */
@Injectable()
export class MedplumRouteReport {
  readonly #modules: ModulesContainer;

  constructor(modules: ModulesContainer) {
    this.#modules = modules;
  }

  /** All handlers, class by class. Computed anew each time. */
  get routes(): readonly MedplumRoute[] {
    const modules = [...this.#modules.values()];
    const rules = new RouteRules(modules);
    return [...hostsIn(modules)].flatMap((host) =>
      methodsOf(host, modules).flatMap((method) => routesOf(host, method, rules)),
    );
  }

  /** The handlers that ought to say how they act, and do not. */
  get undecided(): readonly MedplumRoute[] {
    return this.routes.filter((route) => route.undecided);
  }
}

function routesOf(host: Host, one: HostMethod, rules: RouteRules): MedplumRoute[] {
  const runs = runActingOf(one.method).map(identityOfRun);
  const addresses = addressesOf(host, one);
  const identities = addresses.length === 0 || one.isBare ? [] : Object.entries(one.acting).map(identityOf);
  const withoutMedplum = isWithoutMedplum(one.acting);
  const isDecided = withoutMedplum || identities.length + runs.length > 0 || rules.isExcluded(host.type, one.place);
  const listed = addresses.length === 0 && runs.length > 0 ? [{ kind: 'method' as const, address: '' }] : addresses;
  return listed.map(({ kind, address }) => ({
    kind,
    className: host.type.name,
    handler: one.name,
    address,
    identities: [...identities, ...runs],
    withoutMedplum,
    undecided: one.kind === 'handler' && !isDecided,
  }));
}

function identityOf([client, acting]: readonly [string, Acting]): MedplumRouteIdentity {
  if (acting.as === 'client-application') {
    return { client, decorator: 'AsClientApplication', source: undefined, reason: acting.reason };
  }
  const { source } = acting;
  const name =
    source === undefined ? 'resolveOnBehalfOf' : typeof source === 'string' ? 'reference' : source.name || 'function';
  return { client, decorator: 'OnBehalfOf', source: name, reason: undefined };
}

function identityOfRun({ client, decorator, reason }: RunActing): MedplumRouteIdentity {
  return { client, decorator, source: decorator === 'RunOnBehalfOf' ? 'function' : undefined, reason };
}
