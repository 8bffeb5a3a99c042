import type { Readable } from 'node:stream';

/** The HTTP methods that a Medplum server takes. */
export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** The body of a request. */
export type HttpBody = string | Uint8Array | Readable;

/**
 * What may be done with a request after an attempt that leaves its effect open. `safe`: it changes nothing, so repeat it.
 * `once-by-identifier`: a conditional create whose condition is an identifier that its body carries, so the server
 * recognises the repetition. `unsafe`: never repeat it.
 */
export type Repeatability = 'safe' | 'once-by-identifier' | 'unsafe';

/** How a successful response is read: a JSON object; JSON or text, as its content type says; or content to be streamed. */
export type ResponseKind = 'object' | 'any' | 'stream';

/** The public address of a server, which it signs and which a request to its internal address has to name. */
export interface SignedHost {
  /** Host, with the port if it is not that of the scheme. */
  readonly host: string;
  /** `https:` or `http:`. */
  readonly scheme: string;
}
