import { type CanActivate, type ExecutionContext, Injectable, type Type } from '@nestjs/common';
import { ApplicationConfig, ModuleRef, Reflector } from '@nestjs/core';
import { findProvider } from './find-provider';
import { OnBehalfOfInvocations } from './on-behalf-of.invocations';

/** Where `@UseGuards()` keeps its list. */
const GUARDS = '__guards__';

/**
 * Finds out whom a decorated handler runs for, and refuses the request when that is nobody.
 *
 * `@OnBehalfOf()` brings it along, so it need not be named. `request.user` exists only after the authentication guard,
 * so it resolves as the last guard of the handler; where others follow, it passes and the interceptor resolves and
 * refuses alike. Used globally it lets undecorated handlers pass: there the service refuses calls without an identity.
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

  /** @throws UnauthorizedException or ForbiddenException when nobody is named. */
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

  /** How often guards of this class have run when the last guard of the handler is one; 0 when it is another. */
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
