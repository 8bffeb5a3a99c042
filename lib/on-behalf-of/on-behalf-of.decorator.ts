import { applyDecorators, UseGuards, UseInterceptors } from '@nestjs/common';
import { type Acting, defineActing } from './acting-metadata';
import { OnBehalfOfGuard } from './on-behalf-of.guard';
import { OnBehalfOfInterceptor } from './on-behalf-of.interceptor';
import { DEFAULT_CLIENT } from './on-behalf-of.registry';
import type { OnBehalfOfSource } from './on-behalf-of.source';

/** Options of {@link OnBehalfOf}. */
export interface OnBehalfOfDecoratorOptions {
  /** Name of the client, for apps with several. Default: the unnamed client. */
  readonly client?: string;
}

/** Options of {@link AsClientApplication}. */
export interface AsClientApplicationOptions extends OnBehalfOfDecoratorOptions {
  /** Why the client's own rights are needed. It goes into the audit events: no ids, no values of records. */
  readonly reason?: string;
}

function act(client: string | undefined, acting: Acting): ClassDecorator & MethodDecorator {
  return applyDecorators(
    (target: object, _key?: string | symbol, descriptor?: TypedPropertyDescriptor<unknown>) =>
      defineActing((descriptor?.value as object | undefined) ?? target, client ?? DEFAULT_CLIENT, acting),
    UseGuards(OnBehalfOfGuard),
    UseInterceptors(OnBehalfOfInterceptor),
  );
}

/**
 * Runs the handler, or all handlers of the class, on behalf of whom `source` names. On a handler it wins over the class.
 *
 * It may stand above or below `@UseGuards()`: the identity is resolved after the last guard, so that `request.user` is
 * there. When the source names nobody the request is refused (401 when nobody is logged in, else 403). Answers over
 * HTTP get `Cache-Control: private, no-store` unless the handler sets its own.
 *
 * @param source where the identity comes from. Default: the module's `resolveOnBehalfOf` option (without it a bare
 * decorator is a start-up error).
 * @example
 * ```ts
 * @Controller('patients')
 * @OnBehalfOf(fromUser('membership'))
 * export class PatientsController {}
 * ```
 */
export function OnBehalfOf(
  source?: OnBehalfOfSource,
  options: OnBehalfOfDecoratorOptions = {},
): ClassDecorator & MethodDecorator {
  return act(options.client, { as: 'on-behalf-of', source });
}

/**
 * Runs the handler, or all handlers of the class itself (not of its subclasses), with the rights of the client: a
 * project admin. It never passes an identity on.
 */
export function AsClientApplication(options: AsClientApplicationOptions = {}): ClassDecorator & MethodDecorator {
  return act(options.client, { as: 'client-application', reason: options.reason });
}
