import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { FHIR_ID, RESOURCE_TYPE, resourceKey } from '../../shared/fhir-id';

/** What Medplum 5.0 sends: the HMAC-SHA256 of the body in lower-case hexadecimal digits. */
const SIGNATURE = /^[0-9a-f]{64}$/;

const DELETED = new RegExp(`^(${RESOURCE_TYPE})/(${FHIR_ID})$`);

/** What a delivery says. Only the body is signed, so only {@link WebhookDelivery.version} proves anything. */
export interface WebhookDelivery {
  /** Of a create or an update, from a header that is not signed. */
  readonly interaction: 'create' | 'update' | 'delete';
  readonly type: string;
  readonly id: string;
  /** `undefined` for a delete: its type and id come from a header that is not signed. */
  readonly version: string | undefined;
}

/**
 * Whether one of the secrets signed these bytes. Every secret is tried, and each comparison takes the same time
 * wherever the signatures differ. Node joins a header that was sent twice, so it matches nothing.
 */
export function isSigned(body: Buffer, signature: unknown, secrets: readonly string[]): boolean {
  if (typeof signature !== 'string' || !SIGNATURE.test(signature)) {
    return false;
  }
  const given = Buffer.from(signature, 'hex');
  return secrets
    .map((secret) => timingSafeEqual(createHmac('sha256', secret).update(body).digest(), given))
    .includes(true);
}

/** Reads a delivery whose signature was verified. `undefined` when Medplum cannot have meant it as one. */
export function readDelivery(body: Buffer, headers: IncomingHttpHeaders): WebhookDelivery | undefined {
  const content = parse(body);
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    return undefined;
  }
  const interaction = headers['x-medplum-interaction'];
  // The body decides, because it is signed: a header cannot turn the delivery of a resource into a delete.
  if (Object.keys(content).length > 0) {
    const { type, id, version } = resourceKey(content);
    return type === undefined || id === undefined || version === undefined
      ? undefined
      : { interaction: interaction === 'create' ? 'create' : 'update', type, id, version };
  }
  const [, type, id] = DELETED.exec(String(headers['x-medplum-deleted-resource'])) ?? [];
  return interaction !== 'delete' || type === undefined || id === undefined
    ? undefined
    : { interaction, type, id, version: undefined };
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}
