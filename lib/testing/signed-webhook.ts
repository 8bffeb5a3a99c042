import { createHmac, randomUUID } from 'node:crypto';
import type { Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };

/** What {@link signedWebhook} delivers. */
export type WebhookInput = {
  /** The secret of the Subscription. */
  readonly secret: string;
} & (
  | {
      /** The resource that was written. Medplum always sends an id and `meta.versionId`. */
      readonly resource: Resource;
      /** Default `create`. */
      readonly interaction?: 'create' | 'update' | undefined;
    }
  | {
      /** The reference of the resource that was deleted: `Patient/<id>`. */
      readonly deleted: string;
    }
);

/** A request to a webhook, to be passed to `fetch`. */
export interface SignedWebhook {
  /** Medplum sends POST requests. */
  readonly method: 'POST';
  /** The headers that Medplum sets, with the signature. */
  readonly headers: Record<string, string>;
  /** The resource as JSON; `{}` for a delete. */
  readonly body: string;
}

/**
 * Builds the request that Medplum 5.0 sends to the endpoint of a Subscription with a secret, to test a handler with
 * `@MedplumWebhook()`. The embedded Medplum delivers no Subscriptions by itself.
 *
 * @example
 * ```ts
 * const patient = await emulator.createResource({ resourceType: 'Patient' });
 * await fetch(`${url}/hooks/patients`, signedWebhook({ secret, resource: patient }));
 * ```
 */
export function signedWebhook(input: WebhookInput): SignedWebhook {
  const isDelete = 'deleted' in input;
  const body = isDelete ? '{}' : JSON.stringify(input.resource);
  return {
    method: 'POST',
    headers: {
      'content-type': 'application/fhir+json',
      'x-medplum-subscription': randomUUID(),
      'x-medplum-interaction': isDelete ? 'delete' : (input.interaction ?? 'create'),
      ...(isDelete ? { 'x-medplum-deleted-resource': input.deleted } : {}),
      'x-signature': createHmac('sha256', input.secret).update(body).digest('hex'),
    },
    body,
  };
}
