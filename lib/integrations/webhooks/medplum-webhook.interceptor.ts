import {
  type CallHandler,
  ConflictException,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  ServiceUnavailableException,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { from, lastValueFrom, type Observable } from 'rxjs';
import type { MedplumConnection } from '../../calls/connection';
import { MedplumConfigError } from '../../errors/medplum-config.error';
import { MedplumForbiddenError, MedplumGoneError, MedplumNotFoundError } from '../../errors/response.errors';
import { shownError } from '../../errors/shown';
import type { MedplumService } from '../../medplum.service';
import { getConnectionToken, getMedplumToken } from '../../medplum.tokens';
import { findProvider } from '../../on-behalf-of/find-provider';
import { DEFAULT_CLIENT, OnBehalfOfRegistry } from '../../on-behalf-of/on-behalf-of.registry';
import type { MedplumWebhookEvent } from './medplum-webhook.event';
import type { WebhookSettings } from './medplum-webhook.options';
import { claimKey, WebhookClaim } from './webhook-claim';
import type { WebhookDelivery } from './webhook-delivery';
import { webhookOf } from './webhook-handler';
import { WebhookLog } from './webhook-log';
import { webhookRequestOf } from './webhook-request';

/** One delivery on its way to the handler. */
interface Running {
  /** `Class.method`, for logs and keys. */
  readonly place: string;
  readonly settings: WebhookSettings;
  readonly delivery: WebhookDelivery;
}

/**
 * @internal Runs the handler once for each delivery, with the resource as the identity of the handler reads it. It runs
 * inside the scope of that identity. `@MedplumWebhook()` adds it.
 */
@Injectable()
export class MedplumWebhookInterceptor implements NestInterceptor {
  readonly #log = new WebhookLog();
  readonly #moduleRef: ModuleRef;

  constructor(moduleRef: ModuleRef) {
    this.#moduleRef = moduleRef;
  }

  /**
   * @throws ConflictException while the same delivery is being handled, ServiceUnavailableException when the store fails,
   * and what the read or the handler throws. Medplum repeats the delivery after each of them.
   */
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return from(this.#run(context, next));
  }

  async #run(context: ExecutionContext, next: CallHandler): Promise<void> {
    const request = webhookRequestOf(context);
    const { settings } = webhookOf(context.getClass(), context.getHandler());
    const place = `${context.getClass().name}.${context.getHandler().name}`;
    const delivery = request.getDelivery();
    if (!delivery || !this.#hasIdentity(settings)) {
      throw new MedplumConfigError(
        `${place} is a webhook, but its guard or the scope of its identity is missing, so it did not run. Do not override the guards and interceptors of the library.`,
      );
    }
    const running: Running = { place, settings, delivery };
    const claim = await this.#claim(running);
    if (!claim) {
      return;
    }
    let isHandled = false;
    try {
      const event = await this.#read(running);
      if (event) {
        request.setEvent(event);
        await lastValueFrom(next.handle(), { defaultValue: undefined });
        isHandled = true;
      }
    } finally {
      await this.#settle(claim, running, isHandled);
    }
  }

  /** Whether the scope of the identity is around. Without it, a call could run as the default of the client. */
  #hasIdentity({ client }: WebhookSettings): boolean {
    const registered = findProvider(this.#moduleRef, OnBehalfOfRegistry).get(client ?? DEFAULT_CLIENT);
    return registered.identity.scope.current?.identity.onBehalfOf !== undefined;
  }

  /** `undefined`: the delivery has been handled before. */
  async #claim(running: Running): Promise<WebhookClaim | undefined> {
    let claim: Awaited<ReturnType<typeof WebhookClaim.take>>;
    try {
      claim = await WebhookClaim.take(this.#connection(running.settings).settings.store, this.#key(running));
    } catch (error) {
      this.#warnOfStore(running, 'refused', error);
      throw new ServiceUnavailableException();
    }
    if (claim === 'running') {
      // Not 2xx: if the handler fails, the repetition has to come again.
      throw new ConflictException();
    }
    return claim === 'done' ? undefined : claim;
  }

  /** `undefined`: there is nothing for the handler. */
  async #read({ place, settings, delivery }: Running): Promise<MedplumWebhookEvent | undefined> {
    const { resourceType } = settings;
    const { interaction, id } = delivery;
    const medplum = this.#moduleRef.get<MedplumService>(getMedplumToken(settings.client), { strict: false });
    try {
      const resource = await medplum.readResource(resourceType, id);
      if (interaction !== 'delete') {
        return Object.freeze({ interaction, resourceType, id, resource });
      }
    } catch (error) {
      if (error instanceof MedplumGoneError) {
        // A resource that was deleted after it was written: the delivery of the delete says so, if there is one.
        return interaction === 'delete' ? Object.freeze({ interaction, resourceType, id }) : undefined;
      }
      if (error instanceof MedplumNotFoundError || error instanceof MedplumForbiddenError) {
        this.#log.warn(
          place,
          interaction === 'delete'
            ? 'a delete was dropped, because the identity of the handler cannot tell whether the resource is gone. Its access policy has to allow reading the whole type, without criteria.'
            : 'a delivery was dropped, because the identity of the handler may not read the resource. Compare its access policy with the criteria of the Subscription.',
        );
        return undefined;
      }
      throw error;
    }
    this.#log.warn(
      place,
      'a delete was refused, because the resource still exists. It was restored, or somebody replays an old delivery.',
    );
    // Not 2xx: a replica of the database may not know of the delete yet.
    throw new ConflictException();
  }

  /** What the handler did stays done, so an error of the store is only logged. The claim ends by itself. */
  async #settle(claim: WebhookClaim, running: Running, isHandled: boolean): Promise<void> {
    try {
      if (!isHandled) {
        await claim.release();
        return;
      }
      await claim.finish(running.settings.rememberFor);
      if (running.delivery.version !== undefined) {
        // The resource exists again, so that its next delete is a new one.
        const { store } = this.#connection(running.settings).settings;
        await store.delete(this.#key({ ...running, delivery: { ...running.delivery, version: undefined } }));
      }
    } catch (error) {
      this.#warnOfStore(running, isHandled ? 'handled, but may be handled again' : 'not handled', error);
    }
  }

  /** A route stands for a Subscription: the header that names one is not signed. */
  #key({ place, settings, delivery }: Running): string {
    const { clientId } = this.#connection(settings).settings;
    return claimKey(clientId, place, delivery.type, delivery.id, delivery.version);
  }

  #connection({ client }: WebhookSettings): MedplumConnection {
    return this.#moduleRef.get<MedplumConnection>(getConnectionToken(client), { strict: false });
  }

  #warnOfStore({ place }: Running, outcome: string, error: unknown): void {
    const { name, code } = shownError(error);
    this.#log.warn(place, `a delivery was ${outcome}, because the store failed with ${code ?? name}.`);
  }
}
