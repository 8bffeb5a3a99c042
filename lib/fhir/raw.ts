import type { Bundle, Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { BaseUrl } from '../shared/base-url';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { json, readsOnly, wipesAccounts } from './interactions';
import { serverPath } from './server-path';

/** HTTP method of a raw call. */
export type RawMethod = FhirRequest['method'];

/** What the event of a raw call records when the path is refused. */
export function rawInteraction(method: RawMethod): FhirInteraction {
  return { action: 'raw', method, pathTemplate: '/{path}' };
}

/**
 * The parts of a request that follow from the path that the caller chose, and from the bundle in its body.
 *
 * @param body the value or the JSON text of the body.
 */
export function rawTarget(method: RawMethod, address: unknown, body: unknown, base: BaseUrl) {
  const { isFhirRoot, ...target } = serverPath(address, base);
  const bundle = isFhirRoot && method === 'POST' ? bundleOf(body) : undefined;
  const action = isFhirRoot && method === 'POST' ? (bundle?.type === 'transaction' ? bundle.type : 'batch') : 'raw';
  return { ...target, method, action, ...(bundle?.entry ? { entries: bundle.entry } : {}) } as const;
}

/** The bundle that a body holds, as far as it is readable. */
function bundleOf(body: unknown): Partial<Bundle> | undefined {
  let value = body;
  if (typeof body === 'string' || body instanceof Uint8Array) {
    try {
      value = JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString('utf8'));
    } catch {
      return undefined;
    }
  }
  const { type, entry } = Object(value) as { type?: Bundle['type']; entry?: unknown };
  return { ...(type === undefined ? {} : { type }), ...(Array.isArray(entry) ? { entry } : {}) };
}

/** Describes a call to a path that the caller chose. Text and bytes are sent unchanged, any other body as JSON. */
export function raw(method: RawMethod, address: unknown, body: unknown, base: BaseUrl): FhirRequest {
  const isPlain = typeof body === 'string' || body instanceof Uint8Array;
  const wipes = method === 'PUT' && !isPlain && typeof body === 'object' && wipesAccounts((body ?? {}) as Resource);
  const type = method === 'PATCH' ? 'application/json-patch+json' : 'application/fhir+json';
  const target = rawTarget(method, address, body, base);
  const isRead = method === 'GET' || (target.entries !== undefined && readsOnly(target.entries));
  return {
    ...target,
    headers: {
      accept: 'application/fhir+json, */*;q=0.1',
      ...(body === undefined || isPlain ? {} : { 'content-type': type }),
    },
    ...(body === undefined ? {} : { body: isPlain ? body : json(body, 'body') }),
    responseKind: 'any',
    repeatability: isRead ? 'safe' : 'unsafe',
    ...(wipes ? { extended: false } : {}),
  };
}
