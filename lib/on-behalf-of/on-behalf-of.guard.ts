import { type CanActivate, type ExecutionContext, Injectable, type Type } from '@nestjs/common';
import { ApplicationConfig, ModuleRef, Reflector } from '@nestjs/core';
import { findProvider } from './find-provider';
import { OnBehalfOfInvocations } from './on-behalf-of.invocations';

/** Where `@UseGuards()` keeps its list. */
const GUARDS = '__guards__';

/**
 * Resolves the identity of a decorated handler, and refuses the request when there is none.
 *
 * `@OnBehalfOf()` adds it to the handler, so you need not list it. `request.user` exists only after the authentication
 * guard, so this guard resolves the identity when it is the last guard of the handler. If other guards follow, it passes,
 * and the interceptor resolves or refuses in the same way. As a global guard, it lets handlers without a decorator pass.
 * In those, the service refuses calls without an identity.
 */
@Injectable()
export class OnBehalfOfGuard implements CanActivate {
  #invocations: OnBehalfOfInvocations | undefined;
  readonly #reflector: Reflector;
  readonly #moduleRef: ModuleRef;

  constructor(reflector: Reflector, moduleRef: ModuleRef) {
    this.#reflector = reflector;
    this.#moduleRef = moduleRef;
  }

  /** @throws UnauthorizedException or ForbiddenException when a source returns nobody. */
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const invocations = (this.#invocations ??= findProvider(this.#moduleRef, OnBehalfOfInvocations));
    const invocation = invocations.of(context);
    if (!invocation) {
      return true;
    }
    const { plan } = invocation;
    // The guards of a handler do not change while the app runs.
    plan.runsWhenLast ??= this.#countRuns([context.getClass(), context.getHandler()]);
    if (invocation.guardRan() !== plan.runsWhenLast) {
      return true;
    }
    const resolution = invocations.identitiesOf(invocation, context, this.#moduleRef);
    return resolution instanceof Promise ? resolution.then(() => true) : true;
  }

  /** How many guards of this class have run once the last guard of the handler has, if it is one of them. Else 0. */
  #countRuns(targets: readonly (Type | Function)[]): number {
    const listed = targets.flatMap((target) => this.#reflector.get<unknown[] | undefined>(GUARDS, target) ?? []);
    if (!isOnBehalfOfGuard(listed.at(-1))) {
      return 0;
    }
    const config = this.#moduleRef.get(ApplicationConfig, { strict: false });
    const global = [...config.getGlobalGuards(), ...config.getGlobalRequestGuards().map((wrapper) => wrapper.metatype)];
    return [...global, ...listed].filter(isOnBehalfOfGuard).length;
  }
}

function isOnBehalfOfGuard(guard: unknown): boolean {
  return typeof guard === 'function'
    ? guard === OnBehalfOfGuard || guard.prototype instanceof OnBehalfOfGuard
    : guard instanceof OnBehalfOfGuard;
}
