import type { Attachment } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError, MedplumProtocolError } from '../errors/response.errors';
import { type BaseUrl, pathWithin } from '../http/base-url';
import { checkMaxBytes, downloadBinary } from './binaries';
import type { FhirInteraction, FhirRequest } from './fhir-request';

/** `content[0].attachment`: names, each with an index if it is a list. */
const PATH = /^[A-Za-z]\w{0,63}(?:\[\d{1,4}\])?(?:\.[A-Za-z]\w{0,63}(?:\[\d{1,4}\])?){0,9}$/;

/** What the event of a download from a signed address says. The address itself is a credential, so nothing shows it. */
export const SIGNED = {
  action: 'read',
  method: 'GET',
  pathTemplate: '/{signed}',
} as const satisfies FhirInteraction;

/** @throws MedplumBadRequestError unless `path` is one to an element, such as `content[0].attachment`. */
export function checkAttachmentPath(path: unknown): string {
  if (typeof path !== 'string' || !PATH.test(path)) {
    throw new MedplumBadRequestError(
      'The path of an attachment must be written like content[0].attachment or photo[0].',
    );
  }
  return path;
}

/**
 * The attachment of a resource at `path`.
 *
 * @throws MedplumBadRequestError when there is none.
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
    throw new MedplumBadRequestError('The resource has no attachment with a url or data at this path.');
  }
  return value as Attachment;
}

/**
 * The download of content from an address that the server gave: a Binary of this server is read for the identity, any
 * other address is a signed one, which needs no credentials and gets none.
 *
 * @param origins where signed addresses may lead.
 * @throws MedplumProtocolError for an address elsewhere.
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
    // Not absolute, so it is not a signed one either.
  }
  if (!url || url.username !== '' || url.password !== '' || ![base.origin, ...origins].includes(url.origin)) {
    throw new MedplumProtocolError(
      'The address of the content is on another server: add its origin to storageOrigins if it is your storage.',
    );
  }
  return {
    ...SIGNED,
    path: '{signed}',
    query: '',
    signedUrl: url,
    headers: { accept: '*/*' },
    repeatability: 'safe',
    answer: 'stream',
    maxBytes: checkMaxBytes(maxBytes),
  };
}
