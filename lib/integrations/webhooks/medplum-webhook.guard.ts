import {
  BadRequestException,
  type CanActivate,
  type ExecutionContext,
  Injectable,
  type OnModuleInit,
  UnauthorizedException,
} from '@nestjs/common';
import { HttpAdapterHost, ModuleRef, ModulesContainer } from '@nestjs/core';
import { MedplumConfigError } from '../../errors/medplum-config.error';
import { currentSecrets } from './medplum-webhook.options';
import { isSigned, readDelivery } from './webhook-delivery';
import { checkWebhooks, webhookOf } from './webhook-handler';
import { WebhookLog } from './webhook-log';
import { httpRequestOf, webhookRequestOf } from './webhook-request';

/** @internal Lets through what Medplum has signed with the secret of the handler. `@MedplumWebhook()` adds it. */
@Injectable()
export class MedplumWebhookGuard implements CanActivate, OnModuleInit {
  readonly #log = new WebhookLog();
  readonly #moduleRef: ModuleRef;

  constructor(moduleRef: ModuleRef) {
    this.#moduleRef = moduleRef;
  }

  /** @throws MedplumConfigError that lists every wrong webhook of the app. */
  onModuleInit(): void {
    checkWebhooks(this.#moduleRef.get(ModulesContainer, { strict: false }));
    this.#warnOfMissingParser();
  }

  /**
   * @throws UnauthorizedException when the signature is missing or wrong, BadRequestException when what was signed is no
   * delivery for this handler, MedplumConfigError when the app does not keep the bytes of bodies.
   */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (context.getType() !== 'http') {
      throw new MedplumConfigError(
        '@MedplumWebhook() is on a handler that does not serve HTTP. Put it on a POST handler.',
      );
    }
    const [type, handler] = [context.getClass(), context.getHandler()];
    const { settings } = webhookOf(type, handler);
    const place = `${type.name}.${handler.name}`;
    const { headers, rawBody } = httpRequestOf(context);
    const signature = headers['x-signature'];
    if (signature === undefined || (rawBody === undefined && isEmpty(headers))) {
      this.#log.warn(
        place,
        'a request without a signature or without a body was refused. Medplum signs if the Subscription has the extension subscription-secret.',
      );
      throw new UnauthorizedException();
    }
    if (!Buffer.isBuffer(rawBody)) {
      throw new MedplumConfigError(
        `${place} cannot verify a delivery, because the bytes of its body are not kept. Create the app with NestFactory.create(AppModule, { rawBody: true }), and call enableFhirJson(app), which makes Nest parse application/fhir+json.`,
      );
    }
    if (!isSigned(rawBody, signature, await currentSecrets(settings, this.#moduleRef))) {
      this.#log.warn(
        place,
        'a request with a wrong signature was refused. If Medplum has sent it, the Subscription has another secret.',
      );
      throw new UnauthorizedException();
    }
    const delivery = readDelivery(rawBody, headers);
    if (delivery?.type !== settings.resourceType) {
      this.#log.warn(
        place,
        'a signed request was refused, because it is not about a resource of the type that the handler takes. Compare its resourceType with the criteria of the Subscription.',
      );
      throw new BadRequestException();
    }
    webhookRequestOf(context).setDelivery(delivery);
    return true;
  }

  /** Fastify refuses a type that it has no parser for, with 415, before any guard runs. */
  #warnOfMissingParser(): void {
    const instance: unknown = this.#moduleRef.get(HttpAdapterHost, { strict: false }).httpAdapter?.getInstance?.();
    const fastify = instance as { hasContentTypeParser?(type: string): boolean } | undefined;
    if (fastify?.hasContentTypeParser?.('application/fhir+json') === false) {
      this.#log.warn(
        'MedplumModule',
        'the app has a webhook, but no parser for application/fhir+json, so Fastify refuses what Medplum sends. Call enableFhirJson(app) before the app starts.',
      );
    }
  }
}

function isEmpty(headers: NodeJS.Dict<string | string[]>): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] === undefined && (length === undefined || length === '0');
}
