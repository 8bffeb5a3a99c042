import { applyDecorators, HttpCode, HttpStatus, UseGuards, UseInterceptors } from '@nestjs/common';
import { MedplumConfigError } from '../../errors/medplum-config.error';
import { OnBehalfOf } from '../../on-behalf-of/on-behalf-of.decorator';
import { MedplumWebhookGuard } from './medplum-webhook.guard';
import { MedplumWebhookInterceptor } from './medplum-webhook.interceptor';
import { type MedplumWebhookOptions, resolveWebhookOptions } from './medplum-webhook.options';
import { checkUndecorated, defineWebhook } from './webhook-handler';

/**
 * Makes a POST handler the endpoint of one Medplum Subscription.
 *
 * The handler runs only for deliveries that are signed with the secret, as the identity of `onBehalfOf`, and once for
 * each version of a resource. Before it runs, the resource is read as that identity, so it gets what that identity may
 * see. A delete counts only if that read responds with 410. The app needs `rawBody: true` and `enableFhirJson()`.
 *
 * Medplum is told 204 when the handler has run, and when there is nothing to do: the delivery is a repetition, or the
 * identity may not read the resource. It repeats the delivery after every other status, 401 for a wrong signature, 400
 * for a delivery that makes no sense, 409 while the same delivery is being handled, 503 when the store fails, and
 * whatever your handler throws.
 *
 * @throws MedplumConfigError for wrong options, and on anything but a method of an instance. At start-up: when the method
 * is no POST handler, is decorated with `@OnBehalfOf()` or `@AsClientApplication()` for the same client as well, or has
 * the same secret as another one.
 * @example
 * ```ts
 * @Post('hooks/patients')
 * @MedplumWebhook({ resourceType: 'Patient', secret, onBehalfOf: 'ProjectMembership/…' })
 * async patientChanged(@WebhookEvent() event: MedplumWebhookEvent<Patient>) {}
 * ```
 */
export function MedplumWebhook(options: MedplumWebhookOptions): MethodDecorator {
  return (target: object, name: string | symbol, descriptor: PropertyDescriptor) => {
    const method: unknown = descriptor?.value;
    if (typeof target === 'function' || typeof method !== 'function' || typeof name === 'symbol') {
      throw new MedplumConfigError(
        '@MedplumWebhook() is on something that is not a method of an instance. Put it on a handler of a controller.',
      );
    }
    const place = `${target.constructor.name}.${name}`;
    const settings = resolveWebhookOptions(place, options);
    checkUndecorated(target, name, place, settings);
    applyDecorators(
      HttpCode(HttpStatus.NO_CONTENT),
      // The signature comes first: the source of the identity gets no request that Medplum did not send.
      UseGuards(MedplumWebhookGuard),
      OnBehalfOf(settings.onBehalfOf, settings.client === undefined ? {} : { client: settings.client }),
      // Inside the scope of the identity.
      UseInterceptors(MedplumWebhookInterceptor),
    )(target, name, descriptor);
    defineWebhook(target, name, method, settings);
  };
}
