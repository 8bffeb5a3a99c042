import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { MedplumConfigError } from '../../errors/medplum-config.error';
import type { MedplumWebhookEvent } from './medplum-webhook.event';
import { webhookRequestOf } from './webhook-request';

/**
 * Injects what a webhook tells its handler, a {@link MedplumWebhookEvent}.
 *
 * @throws MedplumConfigError (for the request) in a handler without `@MedplumWebhook()`.
 */
export const WebhookEvent: () => ParameterDecorator = createParamDecorator(
  (_data: unknown, context: ExecutionContext): MedplumWebhookEvent => {
    const event = webhookRequestOf(context).getEvent();
    if (!event) {
      throw new MedplumConfigError(
        '@WebhookEvent() is on a parameter of a handler that is no webhook, so there is no event. Decorate the handler with @MedplumWebhook().',
      );
    }
    return event;
  },
);
