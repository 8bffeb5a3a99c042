import type { IncomingHttpHeaders } from 'node:http';
import type { ExecutionContext } from '@nestjs/common';
import { traceHeadersOf } from '../shared/trace-headers';

/** The fields that are read of a request of Express, Fastify or Node. */
interface RequestLike {
  readonly headers?: IncomingHttpHeaders;
  /** Express. */
  readonly res?: ResponseLike;
}

/** The fields that are read of a response. Fastify keeps Node's own response in `raw`. */
interface ResponseLike {
  readonly raw?: ResponseLike;
  readonly destroyed?: boolean;
  readonly writableEnded?: boolean;
  once?(event: 'close', listener: () => void): unknown;
}

/**
 * The HTTP request that a handler serves, with what calls to Medplum need of it. It reads nothing until a call asks.
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

  /** Its well-formed trace headers. `undefined` when there are none. */
  get trace(): Readonly<Record<string, string>> | undefined {
    return (this.#trace ??= traceHeadersOf(this.#request.headers ?? {}));
  }

  /** Whether the response can still be written. */
  get isOpen(): boolean {
    const response = this.#response?.raw ?? this.#response;
    return response !== undefined && response.destroyed !== true;
  }

  /** Aborts when the client of the app disconnects before it has its response. */
  get disconnect(): AbortSignal {
    return (this.#disconnect ??= disconnectSignal(this.#response?.raw ?? this.#response));
  }
}

/** The HTTP request behind an invocation, over HTTP or GraphQL. `undefined` in other contexts. */
export function inboundRequestOf(context: ExecutionContext): InboundRequest | undefined {
  const type = context.getType<string>();
  if (type === 'http') {
    return new InboundRequest(context.getArgByIndex(0), context.getArgByIndex(1));
  }
  if (type !== 'graphql') {
    return undefined;
  }
  const { req } = graphqlContext(context);
  return req && new InboundRequest(req, graphqlReplyOf(context));
}

/** The response of Express, Fastify or Node behind a GraphQL query, if its context has it. */
export function graphqlReplyOf(context: ExecutionContext): ResponseLike | undefined {
  const { req, res, reply } = graphqlContext(context);
  return res ?? reply ?? req?.res;
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
  // Every response closes in the end. It is a disconnect only if the response was not finished.
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
