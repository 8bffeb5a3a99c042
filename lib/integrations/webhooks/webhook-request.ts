import type { IncomingHttpHeaders } from 'node:http';
import type { ExecutionContext } from '@nestjs/common';
import type { MedplumWebhookEvent } from './medplum-webhook.event';
import type { WebhookDelivery } from './webhook-delivery';

const WEBHOOK = Symbol('nestjs-medplum:webhook-request');

/** What is read of a request of Express or Fastify. */
interface RequestLike {
  readonly headers: IncomingHttpHeaders;
  /** The bytes of the body, if the app keeps them: `rawBody: true`. */
  readonly rawBody?: unknown;
  readonly raw?: Carrier;
}

interface Carrier {
  [WEBHOOK]?: WebhookRequest;
}

/**
 * What the guard, the interceptor and the parameter decorator hand over to each other. It is a property of the request,
 * which apps log and print, so its data is in `#private` fields.
 */
export class WebhookRequest {
  #delivery: WebhookDelivery | undefined;
  #event: MedplumWebhookEvent | undefined;

  /** What the delivery says, once its signature was verified. A method, because tools that print objects call getters. */
  getDelivery(): WebhookDelivery | undefined {
    return this.#delivery;
  }

  setDelivery(delivery: WebhookDelivery): void {
    this.#delivery = delivery;
  }

  /** What the handler gets, once the resource was read. */
  getEvent(): MedplumWebhookEvent | undefined {
    return this.#event;
  }

  setEvent(event: MedplumWebhookEvent): void {
    this.#event = event;
  }
}

/** The HTTP request of a context. */
export function httpRequestOf(context: ExecutionContext): RequestLike {
  return context.switchToHttp().getRequest<RequestLike>();
}

/** The hand-over of the request of a context. */
export function webhookRequestOf(context: ExecutionContext): WebhookRequest {
  const request = httpRequestOf(context);
  const carrier: Carrier = request.raw ?? (request as Carrier);
  return (carrier[WEBHOOK] ??= new WebhookRequest());
}
