import { defineWithoutMedplum } from './acting-metadata';
import { handlerDecorator } from './handler-decorator';

/**
 * Marks a handler, or all handlers of the class, that do not use Medplum: a health check, a login, a static page. With
 * the option `routes: 'enforce'`, every handler says how it acts, and this is how one says that it does not.
 *
 * On a handler, it takes away the `@OnBehalfOf()` and `@AsClientApplication()` of its class. It forbids nothing by itself:
 * a call without an identity is refused as everywhere. The app does not start when both are on the same class or the same
 * handler.
 *
 * @throws MedplumConfigError on anything but a class or a method of an instance.
 * @example
 * ```ts
 * @Controller('health')
 * @WithoutMedplum()
 * export class HealthController {}
 * ```
 */
export function WithoutMedplum(): ClassDecorator & MethodDecorator {
  return handlerDecorator('WithoutMedplum', defineWithoutMedplum, defineWithoutMedplum);
}
