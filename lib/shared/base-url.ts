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
