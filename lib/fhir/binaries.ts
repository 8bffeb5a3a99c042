import { Readable } from 'node:stream';
import { MedplumBadRequestError } from '../errors/response.errors';
import { MedplumContentTooLargeError } from '../errors/transport.errors';
import { checkMediaType } from './bots';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { onInstance, onType } from './interactions';
import { referenceTo } from './search-values';

/** Default limit for an upload or a download, in bytes: 100 MiB. */
export const MAX_BYTES = 100 * 1024 * 1024;

/** Content that can be uploaded. A stream can be read only once, so its upload is never retried. */
export type BinaryContent = string | Uint8Array | Readable | AsyncIterable<Uint8Array | string>;

/** Describes the content of an upload. */
export interface UploadDescription {
  /** Media type, e.g. `application/pdf`. */
  readonly contentType: string;
  /**
   * `Type/id` of a resource: whoever may read it may read the content. Sent as Medplum's header `X-Security-Context`.
   */
  readonly securityContext?: string;
  /** Limit for the content, in bytes. Default 100 MiB. */
  readonly maxBytes?: number;
}

/** What the events of uploads and downloads record when the arguments are refused. */
export const BINARY = {
  upload: { action: 'create', method: 'POST', pathTemplate: '/fhir/R4/Binary' },
  download: { action: 'read', method: 'GET', pathTemplate: '/fhir/R4/Binary/{id}' },
} as const satisfies Record<string, FhirInteraction>;

/**
 * Returns `maxBytes`, or the default if it is undefined.
 *
 * @throws MedplumBadRequestError unless `maxBytes` is a whole number of bytes, 1 or more.
 */
export function checkMaxBytes(maxBytes: number | undefined): number {
  if (maxBytes !== undefined && !(Number.isSafeInteger(maxBytes) && maxBytes > 0)) {
    throw new MedplumBadRequestError('maxBytes must be a whole number of bytes, 1 or more.');
  }
  return maxBytes ?? MAX_BYTES;
}

function tooLarge(maxBytes: number): MedplumContentTooLargeError {
  return new MedplumContentTooLargeError(
    `The content is larger than the ${maxBytes} bytes that maxBytes allows. Raise maxBytes, or upload less.`,
  );
}

/** Yields the chunks of a stream, and throws when they exceed `maxBytes`. */
async function* limited(source: AsyncIterable<Uint8Array | string>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let sent = 0;
  for await (const chunk of source) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    sent += bytes.byteLength;
    if (sent > maxBytes) {
      throw tooLarge(maxBytes);
    }
    yield bytes;
  }
}

function bodyOf(content: BinaryContent, maxBytes: number): { body: string | Uint8Array | Readable; once?: true } {
  if (typeof content === 'string' || content instanceof Uint8Array) {
    if (Buffer.byteLength(content) > maxBytes) {
      throw tooLarge(maxBytes);
    }
    return { body: content };
  }
  if (typeof content !== 'object' || content === null || !(Symbol.asyncIterator in content)) {
    throw new MedplumBadRequestError(
      'The content of a Binary must be text, bytes, a stream or an async iterable of bytes.',
    );
  }
  return { body: Readable.from(limited(content, maxBytes), { objectMode: false }), once: true };
}

/** POST `Binary` with the unchanged content as its body. */
export function uploadBinary(content: BinaryContent, description: UploadDescription): FhirRequest {
  const { contentType, securityContext, maxBytes } = description;
  return {
    ...onType(BINARY.upload, 'Binary'),
    headers: {
      accept: 'application/fhir+json',
      'content-type': checkMediaType(contentType),
      ...(securityContext === undefined ? {} : { 'x-security-context': String(referenceTo(securityContext)) }),
    },
    ...bodyOf(content, checkMaxBytes(maxBytes)),
    repeatability: 'unsafe',
    expects: 'resource',
  };
}

/** GET `Binary/[id]`. The server returns the content, unless `Accept` begins with the FHIR media type. */
export function downloadBinary(id: string, maxBytes: number | undefined): FhirRequest {
  return {
    ...onInstance(BINARY.download, 'Binary', id),
    headers: { accept: '*/*' },
    repeatability: 'safe',
    responseKind: 'stream',
    maxBytes: checkMaxBytes(maxBytes),
  };
}
