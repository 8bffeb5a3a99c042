import { type BaseUrl, withoutApiPath } from '../../../shared/base-url';

/** Base URLs that a person may have meant, likeliest first, without the given one. */
export function baseUrlCandidates({ origin, path }: BaseUrl): BaseUrl[] {
  const paths = [...new Set([withoutApiPath(path), '/'])];
  const found = [path, ...paths].flatMap((one) => origins(origin).map((other) => ({ origin: other, path: one })));
  const byDistance = found.toSorted((a, b) => Number(a.origin !== origin) - Number(b.origin !== origin));
  const seen = new Set([origin + path]);
  return byDistance.filter((one) => {
    const address = one.origin + one.path;
    const isNew = !seen.has(address);
    seen.add(address);
    return isNew;
  });
}

/** The origin itself, the API beside the web app, and the same host with the other scheme. */
function origins(origin: string): string[] {
  const { protocol, hostname, port } = new URL(origin);
  const authority = (host: string): string => (port === '' ? host : `${host}:${port}`);
  const other = protocol === 'https:' ? 'http:' : 'https:';
  const api = hostname.replace(/^app\./, 'api.');
  return [
    origin,
    ...(api === hostname ? [] : [`${protocol}//${authority(api)}`]),
    // Plain http is worth a try on loopback only: elsewhere the library refuses it.
    ...(other === 'https:' || /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname)
      ? [`${other}//${authority(hostname)}`]
      : []),
    ...(api === hostname || other === 'http:' ? [] : [`${other}//${authority(api)}`]),
  ];
}
