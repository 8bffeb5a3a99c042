import type { Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import { type BaseUrl, pathWithin } from '../http/base-url';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { json, wipesAccounts } from './interactions';

/** The methods of raw calls. */
export type RawMethod = FhirRequest['method'];

/** What the event of a raw call says when its path is refused. */
export function rawInteraction(method: RawMethod): FhirInteraction {
  return { action: 'raw', method, pathTemplate: '/{path}' };
}

/** Words of paths that are no ids. What is none of them could be one, or a name. */
const WORDS = new Set(
  'admin bot bulkdata client export fhir invite job members projects R4 status _history _search'.split(' '),
);

/** The path with `{id}` in place of everything that may be one. */
export function pathTemplateOf(path: string): string {
  const segments = path.split('/');
  return `/${segments
    .map((segment, i) => {
      const isType = segments[i - 1] === 'R4' && /^[A-Z][A-Za-z]+$/.test(segment);
      return segment === '' || isType || WORDS.has(segment) || /^\$[a-z-]+$/.test(segment) ? segment : '{id}';
    })
    .join('/')}`;
}

/**
 * The part of an address below the base URL.
 *
 * @throws MedplumBadRequestError for an address elsewhere, and for those of tokens and of the client itself, whose
 * answers hold credentials.
 */
export function rawPath(address: unknown, base: BaseUrl): { readonly path: string; readonly query: string } {
  const isText = typeof address === 'string' && address.trim() !== '' && address.length <= 16_000;
  // A leading slash means the base URL here, and not the root of its server.
  const within = isText ? pathWithin(base, address.replace(/^\/(?![/\\])/, '')) : undefined;
  if (within === undefined) {
    throw new MedplumBadRequestError('The path must be one below the base URL of the client. Nothing was sent.');
  }
  const [path = '', query = ''] = within.split(/\?(.*)/s, 2);
  const decoded = decode(path).toLowerCase();
  if (/^\/*(?:oauth2|auth)(?:\/|$)/.test(decoded) || decoded.includes('//')) {
    throw new MedplumBadRequestError(
      'Paths of tokens and logins are not for calls on behalf of someone: their answers hold credentials. Nothing was sent.',
    );
  }
  return { path, query };
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new MedplumBadRequestError('The path has a malformed percent-encoding. Nothing was sent.');
  }
}

/** What the event says of a path that no method stands for. */
export function rawAction(method: RawMethod, path: string): 'batch' | 'raw' {
  return method === 'POST' && /^fhir\/R4\/?$/.test(path) ? 'batch' : 'raw';
}

/** A call of the caller's own. The body is sent as JSON, text and bytes as they are. */
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
    answer: 'any',
    repeatability: method === 'GET' ? 'safe' : 'unsafe',
    ...(wipes ? { extended: false } : {}),
  };
}
