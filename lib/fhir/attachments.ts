import type { Attachment } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError, MedplumProtocolError } from '../errors/response.errors';
import { type BaseUrl, pathWithin } from '../shared/base-url';
import { checkMaxBytes, downloadBinary } from './binaries';
import type { FhirInteraction, FhirRequest } from './fhir-request';

/** A path such as `content[0].attachment`: names joined by dots, with an index after each name of a list. */
const PATH = /^[A-Za-z]\w{0,63}(?:\[\d{1,4}\])?(?:\.[A-Za-z]\w{0,63}(?:\[\d{1,4}\])?){0,9}$/;

/** What the event of a download from a signed address records. The address is a credential, so no event shows it. */
export const SIGNED = {
  action: 'read',
  method: 'GET',
  pathTemplate: '/{signed}',
} as const satisfies FhirInteraction;

/** @throws MedplumBadRequestError unless `path` is written like `content[0].attachment`. */
export function checkAttachmentPath(path: unknown): string {
  if (typeof path !== 'string' || !PATH.test(path)) {
    throw new MedplumBadRequestError(
      'The path of an attachment must be written like content[0].attachment or photo[0].',
    );
  }
  return path;
}

/**
 * Returns the attachment at `path` in a resource.
 *
 * @throws MedplumBadRequestError when the resource has no attachment there.
 */
export function attachmentAt(resource: unknown, path: string): Attachment {
  let value: unknown = resource;
  for (const [, name, index] of path.matchAll(/(\w+)(?:\[(\d+)\])?/g)) {
    const element: unknown =
      typeof value === 'object' && value !== null && Object.hasOwn(value, name ?? '')
        ? (value as Record<string, unknown>)[name ?? '']
        : undefined;
    value = index === undefined ? element : Array.isArray(element) ? element[Number(index)] : undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !('url' in value || 'data' in value)) {
    throw new MedplumBadRequestError('The resource has no attachment with a url or data at this path. Check the path.');
  }
  return value as Attachment;
}

/**
 * Describes the download of content from an address that the server gave. The address of a Binary on this client's
 * server is read for the identity. Any other address must be a signed one, which needs no credentials and gets none. One
 * below the public address of the server is fetched from the server itself.
 *
 * @param origins origins that signed addresses may lead to, besides the client's server.
 * @param maxBytes most bytes to read. Default 100 MiB.
 * @throws MedplumProtocolError when the address leads to another origin; MedplumBadRequestError when `maxBytes` is not
 * a number of bytes.
 */
export function contentRequest(
  address: unknown,
  base: BaseUrl,
  origins: readonly string[],
  maxBytes: number | undefined,
): FhirRequest {
  const text = typeof address === 'string' ? address : '';
  const relative = /^(?:fhir\/R4\/)?Binary\/([^/?#]+)$/.exec(pathWithin(base, text) ?? '');
  if (relative) {
    return downloadBinary(relative[1] ?? '', maxBytes);
  }
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // A signed address is absolute. This one is not, so it is refused below.
  }
  const within = url && base.publicUrl && pathWithin(base.publicUrl, url.href);
  const isKnown = url?.username === '' && url.password === '' && [base.origin, ...origins].includes(url.origin);
  if (!url || (within === undefined && !isKnown)) {
    throw new MedplumProtocolError(
      'The address of the content leads neither to the Medplum server of this client nor to one of storageOrigins, so nothing was fetched. If it leads to your storage, add its origin to storageOrigins. If your server uses another address for itself, set the option publicUrl.',
    );
  }
  return {
    ...SIGNED,
    path: '{signed}',
    query: '',
    ...signedTarget(url, within, base),
    headers: { accept: '*/*' },
    repeatability: 'safe',
    responseKind: 'stream',
    maxBytes: checkMaxBytes(maxBytes),
  };
}

/**
 * Where to fetch a signed address. The server signs its public address, host included, and checks the signature against the
 * host of the request. So a request to its internal address has to name the public one.
 */
function signedTarget(
  url: URL,
  within: string | undefined,
  base: BaseUrl,
): Pick<FhirRequest, 'signedUrl' | 'signedFor'> {
  return within === undefined
    ? { signedUrl: url }
    : { signedUrl: new URL(base.origin + base.path + within), signedFor: { host: url.host, scheme: url.protocol } };
}
