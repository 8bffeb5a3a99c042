import type { BundleEntry, Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { BaseUrl } from '../shared/base-url';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { isReadOnly } from './graphql-document';
import { json, readsOnly, wipesAccounts } from './interactions';
import { serverPath } from './server-path';

/** HTTP method of a raw call. */
export type RawMethod = FhirRequest['method'];

/** What the event of a raw call records when the path is refused. */
export function rawInteraction(method: RawMethod): FhirInteraction {
  return { action: 'raw', method, pathTemplate: '/{path}' };
}

/** Operations that only read. Others may write even when they are called with GET: a bot can implement them. */
const READS = new Set(
  '$everything $expand $lookup $validate-code $subsumes $translate $validate $csv $graph $meta $versions'.split(' '),
);

/**
 * The parts of a request that follow from the path that the caller chose, and from the bundle or the GraphQL document in
 * its body.
 *
 * @param body the value or the JSON text of the body.
 */
export function rawTarget(method: RawMethod, address: unknown, body: unknown, base: BaseUrl) {
  const { isFhirRoot, ...target } = serverPath(address, base);
  const isPost = method === 'POST';
  const content = isPost && (isFhirRoot || target.operation === '$graphql') ? contentOf(body) : {};
  const { type, entry, query } = content;
  const entries = isFhirRoot && Array.isArray(entry) ? (entry as BundleEntry[]) : undefined;
  const isRead =
    method === 'GET'
      ? target.operation === undefined || READS.has(target.operation)
      : isPost &&
        ((target.resourceType !== undefined && target.pathTemplate.endsWith(`/${target.resourceType}/_search`)) ||
          (entries !== undefined && readsOnly(entries)) ||
          (target.operation === '$graphql' && typeof query === 'string' && isReadOnly(query)));
  return {
    ...target,
    method,
    action: isFhirRoot && isPost ? (type === 'transaction' ? 'transaction' : 'batch') : 'raw',
    repeatability: isRead ? 'safe' : 'unsafe',
    ...(entries ? { entries } : {}),
  } as const;
}

/** The fields of a JSON body. */
function contentOf(body: unknown): Readonly<Record<string, unknown>> {
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) {
    return Object(body) as Record<string, unknown>;
  }
  try {
    return Object(JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString('utf8'))) as Record<
      string,
      unknown
    >;
  } catch {
    return {};
  }
}

/** Describes a call to a path that the caller chose. Text and bytes are sent unchanged, any other body as JSON. */
export function raw(method: RawMethod, address: unknown, body: unknown, base: BaseUrl): FhirRequest {
  const isPlain = typeof body === 'string' || body instanceof Uint8Array;
  const wipes = method === 'PUT' && !isPlain && typeof body === 'object' && wipesAccounts((body ?? {}) as Resource);
  const type = method === 'PATCH' ? 'application/json-patch+json' : 'application/fhir+json';
  return {
    ...rawTarget(method, address, body, base),
    headers: {
      accept: 'application/fhir+json, */*;q=0.1',
      ...(body === undefined || isPlain ? {} : { 'content-type': type }),
    },
    ...(body === undefined ? {} : { body: isPlain ? body : json(body, 'body') }),
    responseKind: 'any',
    ...(wipes ? { extended: false } : {}),
  };
}
