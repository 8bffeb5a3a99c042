import type { Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import { type BaseUrl, pathWithin } from '../shared/base-url';
import { isResourceType } from '../shared/fhir-id';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { json, wipesAccounts } from './interactions';

/** HTTP method of a raw call. */
export type RawMethod = FhirRequest['method'];

/** What the event of a raw call records when the path is refused. */
export function rawInteraction(method: RawMethod): FhirInteraction {
  return { action: 'raw', method, pathTemplate: '/{path}' };
}

/** Path segments that an event may show. Any other segment could be an id or a name. */
const FIXED_SEGMENTS = new Set(
  'admin bot bulkdata client export fhir invite job members projects R4 status _history _search'.split(' '),
);

/** Returns the path with `{id}` in place of every segment that may be an id. */
export function pathTemplateOf(path: string): string {
  const segments = path.split('/');
  return `/${segments
    .map((segment, i) => {
      const isType = segments[i - 1] === 'R4' && isResourceType(segment);
      return segment === '' || isType || FIXED_SEGMENTS.has(segment) || /^\$[a-z-]+$/.test(segment) ? segment : '{id}';
    })
    .join('/')}`;
}

/**
 * Returns the part of an address below the base URL.
 *
 * @throws MedplumBadRequestError when the address leads elsewhere, or to the paths of tokens and logins, whose
 * responses hold credentials.
 */
export function rawPath(address: unknown, base: BaseUrl): { readonly path: string; readonly query: string } {
  const isText = typeof address === 'string' && address.trim() !== '' && address.length <= 16_000;
  // Here, a leading slash means the base URL, not the root of its server.
  const within = isText ? pathWithin(base, address.replace(/^\/(?![/\\])/, '')) : undefined;
  if (within === undefined) {
    throw new MedplumBadRequestError(
      'The path must lead to an address below the base URL of the client. Nothing was sent.',
    );
  }
  const [path = '', query = ''] = within.split(/\?(.*)/s, 2);
  const decoded = decode(path).toLowerCase();
  if (/^\/*(?:oauth2|auth)(?:\/|$)/.test(decoded) || decoded.includes('//')) {
    throw new MedplumBadRequestError(
      'The path belongs to tokens and logins, whose responses hold credentials, or has an empty segment (//) that could hide this. Use another path. Nothing was sent.',
    );
  }
  return { path, query };
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new MedplumBadRequestError(
      'The path has a malformed percent-encoding. Encode its segments with encodeURIComponent(). Nothing was sent.',
    );
  }
}

/** The action that the event of a raw call records. */
export function rawAction(method: RawMethod, path: string): 'batch' | 'raw' {
  return method === 'POST' && /^fhir\/R4\/?$/.test(path) ? 'batch' : 'raw';
}

/** Describes a call to a path that the caller chose. Text and bytes are sent unchanged, any other body as JSON. */
export function raw(method: RawMethod, address: unknown, body: unknown, base: BaseUrl): FhirRequest {
  const { path, query } = rawPath(address, base);
  const isPlain = typeof body === 'string' || body instanceof Uint8Array;
  const wipes = method === 'PUT' && !isPlain && typeof body === 'object' && wipesAccounts((body ?? {}) as Resource);
  const type = method === 'PATCH' ? 'application/json-patch+json' : 'application/fhir+json';
  return {
    action: rawAction(method, path),
    method,
    path,
    pathTemplate: pathTemplateOf(path),
    query,
    headers: {
      accept: 'application/fhir+json, */*;q=0.1',
      ...(body === undefined || isPlain ? {} : { 'content-type': type }),
    },
    ...(body === undefined ? {} : { body: isPlain ? body : json(body, 'body') }),
    responseKind: 'any',
    repeatability: method === 'GET' ? 'safe' : 'unsafe',
    ...(wipes ? { extended: false } : {}),
  };
}
