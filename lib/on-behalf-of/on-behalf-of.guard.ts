import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
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
  constructor(
    private readonly reflector: Reflector,
    private readonly moduleRef: ModuleRef,
  ) {}

  /** @throws UnauthorizedException or ForbiddenException when nobody is named. */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const invocations = findProvider(this.moduleRef, OnBehalfOfInvocations);
    if (invocations.acting(context)) {
      const invocation = invocations.of(context);
      invocation.guardRuns++;
      if (invocation.guardRuns === this.#runsWhenLast(context)) {
        await invocations.resolveOnce(context, this.moduleRef);
      }
    }
    return true;
  }

  /** How often guards of this class have run when the last guard of the handler is one; `undefined` when it is another. */
  #runsWhenLast(context: ExecutionContext): number | undefined {
    const listed = [context.getClass(), context.getHandler()].flatMap(
      (target) => this.reflector.get<unknown[] | undefined>(GUARDS, target) ?? [],
    );
    if (!isOnBehalfOfGuard(listed.at(-1))) {
      return undefined;
    }
    const config = this.moduleRef.get(ApplicationConfig, { strict: false });
    const global = [...config.getGlobalGuards(), ...config.getGlobalRequestGuards().map((wrapper) => wrapper.metatype)];
    return [...global, ...listed].filter(isOnBehalfOfGuard).length;
  }
}

function isOnBehalfOfGuard(guard: unknown): boolean {
  return typeof guard === 'function'
    ? guard === OnBehalfOfGuard || guard.prototype instanceof OnBehalfOfGuard
    : guard instanceof OnBehalfOfGuard;
}
