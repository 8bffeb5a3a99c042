export { MedplumWebhook } from './medplum-webhook.decorator';
export type { MedplumWebhookEvent } from './medplum-webhook.event';
export type { MedplumWebhookOptions, MedplumWebhookSecret } from './medplum-webhook.options';
export { WebhookEvent } from './webhook-event.decorator';
