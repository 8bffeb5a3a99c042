import { applyDecorators, UseGuards, UseInterceptors } from '@nestjs/common';
import { type Acting, defineClassActing, defineMethodActing } from './acting-metadata';
import { handlerDecorator } from './handler-decorator';
import { OnBehalfOfGuard } from './on-behalf-of.guard';
import { OnBehalfOfInterceptor } from './on-behalf-of.interceptor';
import { DEFAULT_CLIENT } from './on-behalf-of.registry';
import type { OnBehalfOfSource } from './on-behalf-of.source';
import { purposes, type ScopeOptions } from './purpose-of-use';

/** Options of {@link OnBehalfOf}. */
export interface OnBehalfOfDecoratorOptions extends ScopeOptions {
  /** Name of the client, for apps with several. Default: the unnamed client. */
  readonly client?: string;
}

/** Options of {@link AsClientApplication}. */
export interface AsClientApplicationOptions extends OnBehalfOfDecoratorOptions {
  /** Why the handler needs the rights of the client. Audit events show it, so write no ids and no values of records. */
  readonly reason?: string;
}

function act(decorator: string, clientName: string | undefined, acting: Acting): ClassDecorator & MethodDecorator {
  const client = clientName ?? DEFAULT_CLIENT;
  return applyDecorators(
    handlerDecorator(
      decorator,
      (type) => defineClassActing(type, client, acting),
      (prototype, name, method) => defineMethodActing(prototype, name, method, client, acting),
    ),
    UseGuards(OnBehalfOfGuard),
    UseInterceptors(OnBehalfOfInterceptor),
  );
}

function purposeOf({ purposeOfUse }: ScopeOptions): Pick<Acting, 'purposeOfUse'> {
  return purposeOfUse === undefined ? {} : { purposeOfUse: purposes(purposeOfUse, 'The purposeOfUse of a decorator') };
}

/**
 * Runs the handler, or all handlers of the class, on behalf of the identity that `source` returns. A decorator on a
 * handler wins over one on the class.
 *
 * You can write it above or below `@UseGuards()`: it resolves the identity after the last guard, when `request.user` is
 * set. When the source returns nobody, the request is refused: 401 when nobody is logged in, else 403. HTTP responses
 * get `Cache-Control: private, no-store` unless the handler sets its own header.
 *
 * It is for handlers that Nest runs with guards and interceptors: HTTP, GraphQL, WebSocket and microservice handlers.
 * Elsewhere, and where another decorator replaced the method without its metadata, the app does not start. A subclass
 * inherits it.
 *
 * @param source where the identity comes from. Default: the option `resolveOnBehalfOf` of the module. Without either, the
 * app does not start.
 * @throws MedplumConfigError on anything but a class or a method of an instance, and for a purpose of use that is no code.
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
  return act('OnBehalfOf', options.client, { as: 'on-behalf-of', source, ...purposeOf(options) });
}

/**
 * Runs the handler, or all handlers of the class, with the rights of the client: those of a project admin. Subclasses do
 * not inherit it, nor do methods that override the handler. The calls send no `X-Medplum-On-Behalf-Of` header.
 *
 * @throws MedplumConfigError on anything but a class or a method of an instance.
 */
export function AsClientApplication(options: AsClientApplicationOptions = {}): ClassDecorator & MethodDecorator {
  const { client, reason } = options;
  return act('AsClientApplication', client, { as: 'client-application', reason, ...purposeOf(options) });
}
