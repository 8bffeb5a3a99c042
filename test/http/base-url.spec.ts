import * as fc from 'fast-check';
import { parseBaseUrl } from '../../lib/shared/base-url';

const problemOf = (value: string, allowInsecureHttp = false): string | undefined => {
  const parsed = parseBaseUrl(value, allowInsecureHttp);
  return 'problem' in parsed ? parsed.problem : undefined;
};

describe('The base URL', () => {
  it.each([
    ['https://api.medplum.com', 'https://api.medplum.com', '/'],
    ['https://api.medplum.com/', 'https://api.medplum.com', '/'],
    ['https://medplum.example:8443', 'https://medplum.example:8443', '/'],
    ['https://medplum.example/projects/abc', 'https://medplum.example', '/projects/abc/'],
    ['https://medplum.example/api/projects/abc/', 'https://medplum.example', '/api/projects/abc/'],
    // The default port is no part of an origin (RFC 6454 section 4).
    ['https://medplum.example:443/', 'https://medplum.example', '/'],
    ['HTTPS://Medplum.Example/', 'https://medplum.example', '/'],
  ])('%s is taken apart into origin and path', (value, origin, path) => {
    expect(parseBaseUrl(value, false)).toEqual({ origin, path });
  });

  it.each([
    'http://localhost',
    'http://localhost:8103/',
    'HTTP://LOCALHOST:8103/projects/abc/',
    'http://127.0.0.1:8103/',
    'http://127.0.0.1',
    'http://127.1.2.3/',
    'http://[::1]:8103/',
  ])('%s is loopback: plain http is accepted', (value) => {
    expect(problemOf(value)).toBeUndefined();
  });

  it.each([
    'http://api.medplum.com/',
    'http://10.0.0.1/',
    'http://0.0.0.0/',
    'http://[::]/',
    'http://[fe80::1]/',
    // They look like loopback …
    'http://localhost.evil.com/',
    'http://localhost-evil.com/',
    'http://localhostevil.com/',
    'http://evil.com/localhost',
    'http://127.0.0.1.nip.io/',
    'http://127.0.0.1.evil.com:8103/',
    'http://127.evil.com/',
    'http://localhost%2eevil.com/',
    'http://local\thost.evil.com/',
    'http://localhost\t.evil.com/',
    'http://127.0.0.1\n.evil.com/',
    'http://localhost。evil.com/',
    // … or are loopback, but not written as such: what a reader does not recognise is not accepted.
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0177.0.0.1/',
    'http://127.1/',
    'http://localhost./',
    'http://[::ffff:127.0.0.1]/',
    'http:localhost/',
    'http:/localhost/',
    String.raw`http:\\localhost.evil.com/`,
  ])('%j is not loopback: plain http is refused, unless that is asked for', (value) => {
    expect(problemOf(value)).toMatch(/https:\/\/ unless the host is loopback/);
    expect(problemOf(value, true)).toBeUndefined();
  });

  it.each([
    ['https://user:hunter2@medplum.example/', /credentials/],
    ['https://user@medplum.example/', /credentials/],
    ['http://localhost:hunter2@evil.com/', /credentials/],
    ['http://127.0.0.1@evil.com/', /credentials/],
    ['https://medplum.example/?token=hunter2', /query or a fragment/],
    ['https://medplum.example/#hunter2', /query or a fragment/],
    ['ftp://medplum.example/hunter2', /https/],
    ['file:///hunter2', /https/],
    ['javascript:hunter2', /https/],
    ['api.medplum.com/hunter2', /absolute URL/],
    ['//api.medplum.com/hunter2', /absolute URL/],
    ['https://', /absolute URL/],
    ['https://[::1', /absolute URL/],
    ['', /absolute URL/],
  ])('%j is refused in words that do not repeat it, also with allowInsecureHttp', (value, problem) => {
    expect(problemOf(value)).toMatch(problem);
    expect(problemOf(value, true)).toMatch(problem);
    expect(problemOf(value)).not.toContain('hunter2');
  });

  it('either says a problem, or the origin that the request will go to', () => {
    const host = fc.oneof(
      fc.domain(),
      fc.ipV4(),
      fc.ipV6().map((ip) => `[${ip}]`),
      fc.constant('localhost'),
    );
    const userinfo = fc.constantFrom('', '@', 'user@', 'localhost:80@');
    const path = fc.webPath();
    fc.assert(
      fc.property(fc.constantFrom('http', 'https'), userinfo, host, path, (scheme, user, name, rest) => {
        const value = `${scheme}://${user}${name}${rest}`;
        const parsed = parseBaseUrl(value, false);
        if ('problem' in parsed) {
          return;
        }
        const { origin, protocol, hostname } = new URL(value);
        expect(parsed.origin).toBe(origin);
        expect(parsed.path).toMatch(/^\/(?:.*\/)?$/);
        expect(protocol === 'https:' || /^(?:localhost|127\.[\d.]+|\[::1\])$/.test(hostname)).toBe(true);
      }),
    );
  });
});
