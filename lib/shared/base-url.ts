/** Where the Medplum server is, in the parts that requests are made of. */
export interface BaseUrl {
  /** Scheme, host and port, as `URL.origin` writes them. The only origin that ever gets credentials or an identity. */
  readonly origin: string;
  /** Path with a slash at both ends, e.g. `/` or `/projects/<id>/`. */
  readonly path: string;
  /** The same server under the address that it writes into its answers, where that is another one. */
  readonly publicUrl?: BaseUrl;
}

const LOOPBACK = /^http:\/\/(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?=[:/?#]|$)/i;

/**
 * Reads a base URL and names what is wrong with it.
 *
 * Plain `http:` is for loopback written as such only (`2130706433` or `localhost.example.org` are not), because Basic
 * credentials travel in clear (RFC 7617 section 4). The value itself is never repeated: it may hold a password.
 */
export function parseBaseUrl(value: string, allowInsecureHttp: boolean): BaseUrl | { readonly problem: string } {
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    return { problem: 'must be an absolute URL such as https://api.medplum.com/' };
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return { problem: 'must be an https:// URL' };
  }
  if (url.username !== '' || url.password !== '') {
    return { problem: 'must not carry credentials; give clientId and clientSecret instead' };
  }
  if (url.search !== '' || url.hash !== '') {
    return { problem: 'must not carry a query or a fragment' };
  }
  if (url.protocol === 'http:' && !allowInsecureHttp && !LOOPBACK.test(value.trim())) {
    return {
      problem:
        'must be https:// unless the host is loopback: http:// sends the client secret in clear (allowInsecureHttp: true accepts that)',
    };
  }
  return { origin: url.origin, path: url.pathname.endsWith('/') ? url.pathname : `${url.pathname}/` };
}

/**
 * Paths of Medplum's API that people copy together with the base URL. The library adds them itself, and a base URL that
 * ends in one of them gets 404 for every call. `/fhir/medplum/` is none: a proxy may serve Medplum there.
 */
const API_PATH =
  /\/(?:api\/)?(fhir\/R4|fhir|oauth2|auth\/(?:login|me|method)|admin\/projects|healthcheck|\.well-known)(?:(?<!fhir)\/.*)?\/?$/i;

/** Hosts of Medplum's cloud that serve web pages, where people expect the API. */
const WEB_HOSTS = new Set(['app.medplum.com', 'medplum.com', 'www.medplum.com']);

/** What of `path` precedes a path of the API, with a slash at both ends. All of `path` if it ends in none. */
export function withoutApiPath(path: string): string {
  return path.replace(API_PATH, '/');
}

/**
 * What is wrong with an address that `parseBaseUrl` reads but no Medplum API has: it ends in a path of the API, or its
 * host serves Medplum's web pages. Without its path, which may hold the id of a project.
 */
export function nearMissOf({ origin, path }: BaseUrl): string | undefined {
  const host = new URL(origin).hostname;
  if (WEB_HOSTS.has(host)) {
    return `names ${host}, which serves web pages and not the API. Set it to https://api.medplum.com/`;
  }
  const apiPath = API_PATH.exec(path)?.[1];
  if (apiPath === undefined) {
    return undefined;
  }
  const fix =
    withoutApiPath(path) === '/' ? `Set it to ${origin}/` : `Remove /${apiPath} and everything after it from the value`;
  return `ends in ${apiPath}, which the library adds itself, so every address would have it twice. ${fix}`;
}

/** Encoded slashes and backslashes: some servers and proxies decode them into path separators. */
const ENCODED_SLASH = /%(?:2f|5c)/i;

/**
 * The part of an address below the base URL, with its query, as `TransportRequest.path` takes it; `undefined` when the
 * address leads elsewhere. A relative address is read as one below the base URL. What counts is the address after
 * resolution: `\\`, line breaks and `%2e%2e` are other spellings of `/`, nothing and `..` (WHATWG URL, sections 4.4, 4.5).
 */
export function pathWithin(base: BaseUrl, address: string): string | undefined {
  const { publicUrl } = base;
  return (
    pathBelow(base, address) ?? (publicUrl && /^https?:/i.test(address) ? pathBelow(publicUrl, address) : undefined)
  );
}

function pathBelow({ origin, path }: BaseUrl, address: string): string | undefined {
  let url: URL;
  try {
    url = new URL(address, origin + path);
  } catch {
    return undefined;
  }
  const { pathname, search } = url;
  const inside = url.origin === origin && url.username === '' && url.password === '' && pathname.startsWith(path);
  return inside && !ENCODED_SLASH.test(pathname) ? pathname.slice(path.length) + search : undefined;
}
