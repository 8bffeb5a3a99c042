import type { IncomingHttpHeaders } from 'node:http';
import type { ExecutionContext } from '@nestjs/common';
import { traceHeadersOf } from '../shared/trace-headers';

/** What is looked at of a request, be it of Express, of Fastify or of Node itself. */
interface RequestLike {
  readonly headers?: IncomingHttpHeaders;
  /** Express. */
  readonly res?: ResponseLike;
}

/** What is looked at of a response; Fastify keeps Node's own one in `raw`. */
interface ResponseLike {
  readonly raw?: ResponseLike;
  readonly destroyed?: boolean;
  readonly writableEnded?: boolean;
  once?(event: 'close', listener: () => void): unknown;
}

/**
 * The HTTP request that a handler serves, as far as the calls made for it want to know of it. Nothing is looked at before
 * one does.
 */
export class InboundRequest {
  readonly #request: RequestLike;
  readonly #response: ResponseLike | undefined;
  #trace: Readonly<Record<string, string>> | undefined;
  #disconnect: AbortSignal | undefined;

  constructor(request: RequestLike, response: ResponseLike | undefined) {
    this.#request = request;
    this.#response = response;
  }

  /** Those of its headers by which requests are traced, if any of them is well-formed. */
  get trace(): Readonly<Record<string, string>> | undefined {
    return (this.#trace ??= traceHeadersOf(this.#request.headers ?? {}));
  }

  /** Whether the response can still be written. */
  get isOpen(): boolean {
    const response = this.#response?.raw ?? this.#response;
    return response !== undefined && response.destroyed !== true;
  }

  /** Aborted when the client of the request went away before it was answered. */
  get disconnect(): AbortSignal {
    return (this.#disconnect ??= disconnectSignal(this.#response?.raw ?? this.#response));
  }
}

/** The HTTP request behind an invocation, over HTTP or GraphQL; `undefined` elsewhere. */
export function inboundRequestOf(context: ExecutionContext): InboundRequest | undefined {
  const type = context.getType<string>();
  if (type === 'http') {
    return new InboundRequest(context.getArgByIndex(0), context.getArgByIndex(1));
  }
  if (type !== 'graphql') {
    return undefined;
  }
  const { req, res, reply } = graphqlContext(context);
  return req && new InboundRequest(req, res ?? reply ?? req.res);
}

function graphqlContext(context: ExecutionContext): {
  readonly req?: RequestLike;
  readonly res?: ResponseLike;
  readonly reply?: ResponseLike;
} {
  return context.getArgByIndex<object | undefined>(2) ?? {};
}

function disconnectSignal(response: ResponseLike | undefined): AbortSignal {
  const controller = new AbortController();
  // A response closes in the end whatever happens: what was answered before is no disconnect.
  const closed = (): void => {
    if (response?.writableEnded !== true) {
      controller.abort();
    }
  };
  if (response?.destroyed) {
    closed();
  } else {
    response?.once?.('close', closed);
  }
  return controller.signal;
}
