import 'reflect-metadata';
import { RequestMethod, type Type } from '@nestjs/common';
import { MetadataScanner, type ModulesContainer } from '@nestjs/core';
import { MedplumConfigError } from '../../errors/medplum-config.error';
import { type Acting, actingOfHandler, actingOfMethod } from '../../on-behalf-of/acting-metadata';
import { DEFAULT_CLIENT } from '../../on-behalf-of/on-behalf-of.registry';
import { secretsOf, type WebhookSettings } from './medplum-webhook.options';

const KEY = Symbol.for('nestjs-medplum:webhook');

/** Where `@Post()` and its like keep the method of a route. */
const METHOD = 'method';

/** What `@MedplumWebhook()` knows of its handler. */
export interface WebhookHandler {
  readonly settings: WebhookSettings;
  /** How the decorator makes the client act. */
  readonly acting: Acting | undefined;
}

/** @throws MedplumConfigError when the method acts for the client in another way already. */
export function checkUndecorated(prototype: object, name: string, place: string, settings: WebhookSettings): void {
  if (ownActing(prototype, name, settings)) {
    throw new MedplumConfigError(`${place}: ${DECORATED_TWICE}`);
  }
}

/** Keeps what the decorator was given, once `@OnBehalfOf()` stands on the method. */
export function defineWebhook(prototype: object, name: string, method: Function, settings: WebhookSettings): void {
  const handler: WebhookHandler = { settings, acting: ownActing(prototype, name, settings) };
  Reflect.defineMetadata(KEY, Object.freeze(handler), method);
}

/**
 * What `@MedplumWebhook()` says of a handler.
 *
 * @throws MedplumConfigError when it says nothing, or when another decorator makes the handler act as somebody else.
 */
export function webhookOf(type: Type, handler: Function): WebhookHandler {
  const webhook = Reflect.getMetadata(KEY, handler) as WebhookHandler | undefined;
  const place = `${type.name}.${handler.name}`;
  if (!webhook) {
    throw new MedplumConfigError(
      `${place} runs as a webhook, but what @MedplumWebhook() was given is lost. Another decorator replaced the method. Put that one below, or make it copy the metadata.`,
    );
  }
  const { settings, acting } = webhook;
  if (acting === undefined || actingOfHandler(type, handler)[settings.client ?? DEFAULT_CLIENT] !== acting) {
    throw new MedplumConfigError(`${place}: ${DECORATED_TWICE}`);
  }
  return webhook;
}

/** @throws MedplumConfigError that lists every wrong webhook of the app. */
export function checkWebhooks(modules: ModulesContainer): void {
  const problems = new Set<string>();
  const places = new Map<string, { readonly webhook: WebhookHandler; readonly place: string }>();
  for (const { type, method } of handlersOf(modules)) {
    if (!Reflect.hasMetadata(KEY, method)) {
      continue;
    }
    const place = `${type.name}.${method.name}`;
    try {
      const webhook = webhookOf(type, method);
      if (Reflect.getMetadata(METHOD, method) !== RequestMethod.POST) {
        problems.add(`${place}: it is not a handler of POST requests, which Medplum sends. Add @Post().`);
      }
      const { secret } = webhook.settings;
      for (const text of typeof secret === 'function' ? [] : secretsOf(secret)) {
        const other = places.get(text);
        if (other && other.webhook !== webhook) {
          problems.add(
            `${place}: ${other.place} has the same secret, so a delivery to one of them can be sent to the other. Give each Subscription a secret of its own.`,
          );
        }
        places.set(text, { webhook, place });
      }
    } catch (error) {
      problems.add((error as Error).message);
    }
  }
  if (problems.size > 0) {
    throw new MedplumConfigError(`Some webhooks are wrong:\n- ${[...problems].join('\n- ')}`);
  }
}

const DECORATED_TWICE =
  'it has @MedplumWebhook(), and another decorator says as whom it runs. Name the identity in the option onBehalfOf of @MedplumWebhook(), and take @OnBehalfOf() or @AsClientApplication() off the method.';

function* handlersOf(modules: ModulesContainer): Iterable<{ readonly type: Type; readonly method: Function }> {
  const scanner = new MetadataScanner();
  for (const module of modules.values()) {
    for (const { metatype } of module.controllers.values()) {
      const type = metatype as Type;
      const prototype = type.prototype as Record<string, Function>;
      for (const name of scanner.getAllMethodNames(prototype)) {
        yield { type, method: prototype[name] as Function };
      }
    }
  }
}

function ownActing(prototype: object, name: string, { client }: WebhookSettings): Acting | undefined {
  return actingOfMethod(prototype, name)[client ?? DEFAULT_CLIENT];
}
