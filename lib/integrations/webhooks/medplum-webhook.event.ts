import type { Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { WithId } from '../../fhir/resource.types';

/** What happened to a resource, for the handler of a webhook: what `@WebhookEvent()` injects. It holds PHI. */
export type MedplumWebhookEvent<T extends Resource = Resource> =
  | {
      /**
       * Medplum does not sign which of the two it was, so let nothing depend on it that the resource itself can tell.
       */
      readonly interaction: 'create' | 'update';
      readonly resourceType: T['resourceType'];
      readonly id: string;
      /** The resource as the identity of the handler reads it now. It may be newer than the one that was delivered. */
      readonly resource: WithId<T>;
    }
  | {
      /** The server has told the identity of the handler that the resource is gone. */
      readonly interaction: 'delete';
      readonly resourceType: T['resourceType'];
      readonly id: string;
      readonly resource?: undefined;
    };
