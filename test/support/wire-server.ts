import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { MedplumModuleRootOptions } from 'nestjs-medplum';

/** One request as it arrived over the wire. */
export interface WireRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: string;
  /** `X-Medplum-On-Behalf-Of` as it arrived; `undefined` when it was not sent. */
  readonly onBehalfOf: string | undefined;
}

/** What to answer: a body is sent as JSON, a string as it is; `destroy` resets the connection instead. */
export interface WireAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: unknown;
  readonly delay?: number;
  readonly destroy?: boolean;
}

export type WireHandler = (
  request: WireRequest,
  response: ServerResponse,
) => WireAnswer | undefined | Promise<WireAnswer | undefined>;

/** An OperationOutcome as the server writes it, with the tracing extension of requests that got past the identity. */
export function outcome(id: string, code: string, text: string, tracing = true): object {
  return {
    resourceType: 'OperationOutcome',
    id,
    issue: [{ severity: 'error', code, details: { text } }],
    ...(tracing
      ? {
          extension: [
            {
              url: 'https://medplum.com/fhir/StructureDefinition/tracing',
              extension: [{ url: 'requestId', valueId: '00000000-0000-4000-8000-000000000001' }],
            },
          ],
        }
      : {}),
  };
}

/** What a server would return: the resource that the path names, one of its type, or a bundle. */
export function resourceAsked({ method, path }: Pick<WireRequest, 'method' | 'path'>): object {
  const [, address = '', query] = /^\/(?:.*?\/)?fhir\/R4\/?([^?]*)(\?.*)?$/.exec(path) ?? [];
  const [type = '', id = ''] = address.split('/');
  const isBundle = type === '' || id === '_search' || address.endsWith('/_history') || (method === 'GET' && id === '');
  if (isBundle && query?.includes('_type=') !== true && method === 'POST' && type === '') {
    return { resourceType: 'Bundle', type: 'batch-response', entry: [{ response: { status: '200' } }] };
  }
  return isBundle ? { resourceType: 'Bundle', type: 'searchset' } : { resourceType: type, id: id === '' ? '1' : id };
}

/** A server on loopback that records what arrives and answers what a test says. It knows nothing of FHIR. */
export class WireServer {
  readonly requests: WireRequest[] = [];
  readonly #sockets = new Set<Socket>();
  #waiting: (() => void)[] = [];
  #unanswered = 0;
  /** Answers; replace it within a test. The default returns what is asked for. */
  handler: WireHandler = (request) => ({ body: resourceAsked(request) });

  /** Resets the connection of a request whose head has arrived, instead of reading its body. */
  resetsAtHead = false;

  private constructor(private readonly server: Server) {
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(handler?: WireHandler): Promise<WireServer> {
    const server = createServer();
    const wire = new WireServer(server);
    if (handler) {
      wire.handler = handler;
    }
    server.on('request', (request: IncomingMessage, response: ServerResponse) => void wire.answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`;
  }

  /** Options of a client for this server. */
  options<T extends Partial<MedplumModuleRootOptions>>(more?: T): MedplumModuleRootOptions & T {
    return {
      baseUrl: this.baseUrl,
      clientId: 'client-1',
      clientSecret: 'secret-1',
      ...more,
    } as MedplumModuleRootOptions & T;
  }

  /** Identities as they arrived, in order; `undefined` for requests without one. */
  get identities(): (string | undefined)[] {
    return this.requests.map((request) => request.onBehalfOf);
  }

  /** Connections that are open now. */
  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Requests that have arrived, and were neither answered to the end nor given up. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Resolves when `count` requests have arrived, since the server was started. */
  async received(count: number): Promise<void> {
    while (this.requests.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    this.#unanswered++;
    response.once('close', () => this.#unanswered--);
    if (this.resetsAtHead) {
      this.record(incoming, '');
      incoming.socket.resetAndDestroy();
      return;
    }
    try {
      for await (const chunk of incoming) {
        chunks.push(chunk as Buffer);
      }
    } catch {
      // The client gave up while it was sending.
      return;
    }
    const request = this.record(incoming, Buffer.concat(chunks).toString('utf8'));
    const answer = await this.handler(request, response);
    if (!answer) {
      return;
    }
    if (answer.delay) {
      await new Promise((resolve) => setTimeout(resolve, answer.delay));
    }
    if (answer.destroy) {
      response.socket?.resetAndDestroy();
      return;
    }
    const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? '');
    response.writeHead(answer.status ?? 200, {
      'content-type': 'application/fhir+json; charset=utf-8',
      ...answer.headers,
    });
    response.end(answer.body === undefined ? undefined : body);
  }
  private record(incoming: IncomingMessage, body: string): WireRequest {
    const request: WireRequest = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      headers: incoming.headers,
      rawHeaders: incoming.rawHeaders,
      body,
      onBehalfOf: incoming.headers['x-medplum-on-behalf-of'] as string | undefined,
    };
    this.requests.push(request);
    this.#waiting.splice(0).forEach((resolve) => resolve());
    return request;
  }
}
