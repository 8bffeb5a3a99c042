import { MedplumBadRequestError } from '../errors/response.errors';
import { type BaseUrl, pathWithin } from '../shared/base-url';
import { isFhirId, isResourceType } from '../shared/fhir-id';
import { knownType } from '../shared/known-types';

/** An address that a caller chose, as the server will read it. */
export interface ServerPath {
  /** Below the base URL, without the query, encoded as it is sent. */
  readonly path: string;
  /** Encoded, without `?`. */
  readonly query: string;
  /** With a leading slash, and `{id}` in place of every segment that may be an id or a name. */
  readonly pathTemplate: string;
  /** Whether this is the root of the FHIR API, where bundles go. */
  readonly isFhirRoot: boolean;
  readonly resourceType?: string;
  readonly resourceId?: string;
  /** Name of the FHIR operation, with its `$`. */
  readonly operation?: string;
}

/** Longest address, in characters: Medplum answers 431 when the URL and the headers exceed 16 KB. */
const LONGEST = 16_000;

/** Path segments that an event may show. Any other segment could be an id or a name. */
const FIXED_SEGMENTS = new Set(
  'admin api bot bulkdata client export fhir invite job members projects R4 status _history _search'.split(' '),
);

/** The paths of tokens and logins: their responses hold credentials. */
const LOGIN_PATHS = new Set(['auth', 'oauth2']);

/**
 * Reads an address as the server will: relative to the base URL, decoded, in either case, and without the prefixes that
 * lead to the same routes (`api/`, `projects/[id]/`).
 *
 * @throws MedplumBadRequestError when the address leads elsewhere, to tokens and logins, or could be read in two ways:
 * dot segments, empty segments, control characters and encoded slashes.
 */
export function serverPath(address: unknown, base: BaseUrl): ServerPath {
  const isText = typeof address === 'string' && address.trim() !== '' && address.length <= LONGEST;
  // Here, a leading slash means the base URL, not the root of its server.
  const given = isText ? address.replace(/^\/(?![/\\])/, '') : undefined;
  const within = given === undefined ? undefined : pathWithin(base, given);
  if (given === undefined || within === undefined) {
    throw new MedplumBadRequestError(
      'The path must lead to an address below the base URL of the client. Nothing was sent.',
    );
  }
  refuseAmbiguity(given.replace(/^https?:\/\/[^/]*/i, '').replace(/[?#].*$/s, ''));
  const [path = '', query = ''] = within.split(/\?(.*)/s, 2);
  const segments = path.split('/').map(decoded);
  const route = segments.slice(prefixLength(segments));
  if (LOGIN_PATHS.has(route[0]?.toLowerCase() ?? '')) {
    throw new MedplumBadRequestError(
      'The path belongs to tokens and logins, whose responses hold credentials. The client logs in by itself. Nothing was sent.',
    );
  }
  const pathTemplate = `/${segments.map(shown).join('/')}`;
  const [area, version, type, id] = route;
  if (`${area}/${version}`.toLowerCase() !== 'fhir/r4') {
    return { path, query, pathTemplate, isFhirRoot: false };
  }
  const resourceType = knownType(type);
  const operation = route.find((segment) => OPERATION.test(segment));
  return {
    path,
    query,
    pathTemplate,
    isFhirRoot: type === undefined || type === '',
    ...(resourceType === undefined ? {} : { resourceType }),
    ...(resourceType !== undefined && isFhirId(id) ? { resourceId: id } : {}),
    ...(operation === undefined ? {} : { operation }),
  };
}

const OPERATION = /^\$[a-z-]+$/;

/** @throws MedplumBadRequestError for a path that a URL parser, a proxy and the server could read differently. */
function refuseAmbiguity(path: string): void {
  // oxlint-disable-next-line no-control-regex -- a URL parser drops tabs and line breaks, so `.\t.` becomes `..`
  const isAmbiguous = /[\\\u0000-\u001f\u007f]|\/\//.test(path);
  if (
    isAmbiguous ||
    path
      .split('/')
      .map(decoded)
      .some((segment) => /^\.{1,2}$|[/\\]/.test(segment))
  ) {
    throw new MedplumBadRequestError(
      'The path has a dot segment, an empty segment, a backslash, a control character or an encoded slash, so it may lead elsewhere than it seems. ' +
        'Build paths from ids that you have checked. Nothing was sent.',
    );
  }
}

/** How many segments belong to prefixes that lead to the same routes. */
function prefixLength(segments: readonly string[]): number {
  let length = 0;
  for (;;) {
    const segment = segments[length]?.toLowerCase();
    if (segment === 'api') {
      length += 1;
    } else if (segment === 'projects' && segments.length > length + 1) {
      length += 2;
    } else {
      return length;
    }
  }
}

/** Decoded until nothing changes: each proxy on the way may decode once. */
function decoded(segment: string): string {
  let text = segment;
  try {
    for (let next = decodeURIComponent(text); next !== text; next = decodeURIComponent(text)) {
      text = next;
    }
  } catch {
    if (text === segment) {
      throw new MedplumBadRequestError(
        'The path has a malformed percent-encoding. Encode its segments with encodeURIComponent(). Nothing was sent.',
      );
    }
  }
  return text;
}

function shown(segment: string, i: number, segments: readonly string[]): string {
  if (segments[i - 1]?.toLowerCase() === 'r4' && isResourceType(segment)) {
    return knownType(segment) ?? '{type}';
  }
  return segment === '' || FIXED_SEGMENTS.has(segment) || OPERATION.test(segment) ? segment : '{id}';
}
