import { bodyText, TooLarge } from './response-body';
import { Cancelled, type Deadline } from './deadline';
import type { MedplumDispatcher, MedplumDispatcherResponse } from './medplum-dispatcher';
import { codeOf } from './pool-wire';
import { neverSent } from './transport-failure';
import { type Wire, type WireResponse, WireFailure, type WireRequest } from './wire';

/** How a dispatcher is used. */
export interface DispatcherWireOptions {
  readonly origin: string;
  /** Most bytes of one response, also after unpacking; streams have limits of their own. */
  readonly maxBytes: number;
  /** The dispatcher belongs to the app. It may have interceptors of undici, which each request switches off. */
  readonly foreign: boolean;
}

/** The dispatcher followed a redirect, and sent credentials and identity to where it led. */
class RedirectFollowed extends Error {
  readonly code = 'REDIRECT_FOLLOWED';
}

/** Makes attempts with `request()` of a dispatcher: that of the app, or the library's own pool if a body is a stream. */
export class DispatcherWire implements Wire {
  readonly #dispatcher: MedplumDispatcher;
  readonly #options: DispatcherWireOptions;

  constructor(dispatcher: MedplumDispatcher, options: DispatcherWireOptions) {
    this.#dispatcher = dispatcher;
    this.#options = options;
  }

  async exchange(request: WireRequest, deadline: Deadline): Promise<WireResponse | WireFailure> {
    const destroyed = this.#dispatcher.destroyed === true;
    let status: number | undefined;
    try {
      const response = await deadline.race(this.#request(request, deadline));
      refuseHistory(response);
      status = response.statusCode;
      const header = (name: string): string | undefined => joined(response.headers[name]);
      if (request.stream && status >= 200 && status < 300) {
        return { status, text: '', stream: response.body, header };
      }
      return { status, text: await deadline.race(this.#text(response, header)), header };
    } catch (cause) {
      const sent = cause instanceof Cancelled || (!destroyed && !neverSent(cause));
      return new WireFailure(codeOf(cause), sent, status, cause);
    }
  }

  #request({ method, path, headers, body }: WireRequest, deadline: Deadline): Promise<MedplumDispatcherResponse> {
    const named: Record<string, string> = {};
    for (let i = 0; i < headers.length; i += 2) {
      named[headers[i] ?? ''] = headers[i + 1] ?? '';
    }
    const { origin, foreign } = this.#options;
    if (foreign) {
      // The cache of undici keys by URL, so it would show one user what another one may see.
      named['cache-control'] ??= 'no-store';
    }
    return this.#dispatcher.request({
      origin,
      path,
      method,
      headers: named,
      ...(body === undefined ? {} : { body }),
      signal: deadline,
      ...(foreign ? { maxRedirections: 0, retryOptions: { maxRetries: 0, statusCodes: [], throwOnError: false } } : {}),
    });
  }

  async #text({ body }: MedplumDispatcherResponse, header: (name: string) => string | undefined): Promise<string> {
    const { maxBytes } = this.#options;
    const encoding = header('content-encoding');
    // A body of known length needs no counting, and the body of a mock may have text() only.
    const short = encoding === undefined && Number(header('content-length') ?? Number.NaN) <= maxBytes;
    if (short || typeof body[Symbol.asyncIterator] !== 'function') {
      return body.text();
    }
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    // Leaving the loop destroys the body, which releases the connection.
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) {
        throw new TooLarge();
      }
      chunks.push(chunk);
    }
    return bodyText(chunks, bytes, encoding, maxBytes);
  }
}

/** @throws RedirectFollowed when undici's redirect interceptor followed a redirect. */
function refuseHistory({ context, body }: MedplumDispatcherResponse): void {
  const history = Object(context).history as unknown;
  if (Array.isArray(history) && history.length > 0) {
    body.on('error', () => undefined).destroy();
    throw new RedirectFollowed();
  }
}

/** Two `RateLimit` lines arrive as an array. They are read joined by a comma (RFC 9110 section 5.3). */
function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}
