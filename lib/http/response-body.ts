import { promisify } from 'node:util';
import { brotliDecompress, gunzip } from 'node:zlib';

/** The response has more bytes than the client reads. */
export class TooLarge extends Error {}

/** The encodings that the client requests (`Accept-Encoding: gzip, br`). */
const DECODERS: ReadonlyMap<string, typeof gunzip> = new Map([
  ['gzip', gunzip],
  ['br', brotliDecompress],
]);

/** The bytes of the body are not what its `Content-Encoding` says. */
class EncodingError extends Error {
  readonly code = 'CONTENT_ENCODING';
}

/**
 * The text of a body, in UTF-8. Synchronous unless the body has to be unpacked (RFC 9110 section 8.4.1).
 *
 * @param maxBytes also limits the unpacked text, because a few bytes can unpack to many.
 * @throws TooLarge and EncodingError, as rejections.
 */
export function bodyText(
  chunks: readonly Uint8Array[],
  bytes: number,
  encoding: string | undefined,
  maxBytes: number,
): string | Promise<string> {
  if (chunks.length === 0) {
    return '';
  }
  const [first] = chunks;
  const body = chunks.length === 1 && first ? Buffer.from(first.buffer, first.byteOffset, first.length) : undefined;
  const whole = body ?? Buffer.concat(chunks, bytes);
  return encoding === undefined || encoding === 'identity' ? utf8(whole) : unpacked(whole, encoding, maxBytes);
}

async function unpacked(body: Buffer, encoding: string, maxBytes: number): Promise<string> {
  const decode = DECODERS.get(encoding.toLowerCase());
  if (!decode) {
    throw new EncodingError();
  }
  try {
    return utf8(await promisify<Buffer, object, Buffer>(decode)(body, { maxOutputLength: maxBytes }));
  } catch (cause) {
    throw (cause as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE' ? new TooLarge() : new EncodingError();
  }
}

/** Leaves out a byte order mark, which JSON parsers refuse (RFC 8259 section 8.1). */
function utf8(body: Buffer): string {
  const marked = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf;
  return body.toString('utf8', marked ? 3 : 0);
}
