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
  /** Why the handler needs the rights of the client. Audit events show it, so write no ids and no values of records. */
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
 * Runs the handler, or all handlers of the class, on behalf of the identity that `source` returns. A decorator on a
 * handler wins over one on the class.
 *
 * You can write it above or below `@UseGuards()`: it resolves the identity after the last guard, when `request.user` is
 * set. When the source returns nobody, the request is refused: 401 when nobody is logged in, else 403. HTTP responses
 * get `Cache-Control: private, no-store` unless the handler sets its own header.
 *
 * @param source where the identity comes from. Default: the option `resolveOnBehalfOf` of the module. Without either, the
 * app does not start.
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
 * Runs the handler, or all handlers of the class, with the rights of the client: those of a project admin. Subclasses do
 * not inherit it. The calls send no `X-Medplum-On-Behalf-Of` header.
 */
export function AsClientApplication(options: AsClientApplicationOptions = {}): ClassDecorator & MethodDecorator {
  return act(options.client, { as: 'client-application', reason: options.reason });
}
