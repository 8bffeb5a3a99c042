import { Agent, createServer, type IncomingHttpHeaders, request as send, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WireAnswer } from './wire-case.types';

/** A request of the library and the response of the server, as they went over the wire. */
export interface Exchange {
  readonly method: string;
  /** Relative to the base URL, with the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly answer: WireAnswer;
}

/** Passes requests on to a server, unchanged, and keeps what went through. */
export class RecordingProxy {
  /** What went through since the last call of `take`. */
  private exchanges: Exchange[] = [];

  private constructor(
    private readonly server: Server,
    private readonly agent: Agent,
    readonly baseUrl: string,
  ) {}

  static async start(target: string): Promise<RecordingProxy> {
    const agent = new Agent({ keepAlive: true });
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const proxy = new RecordingProxy(server, agent, `http://127.0.0.1:${port}/`);
    const { hostname, port: targetPort, pathname } = new URL(target);
    server.on('request', (incoming, outgoing) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', () => {
        const { method = 'GET', url = '/', headers } = incoming;
        const body = Buffer.concat(chunks);
        const path = pathname + url.slice(1);
        const onward = send({ agent, hostname, port: targetPort, method, path, headers }, (response) => {
          const received: Buffer[] = [];
          response.on('data', (chunk: Buffer) => received.push(chunk));
          response.on('end', () => {
            const { statusCode: status = 0, headers: answered } = response;
            const bytes = Buffer.concat(received);
            proxy.exchanges.push({
              method,
              path: url.slice(1),
              headers,
              body: body.toString(),
              answer: { status, headers: answered, text: bytes.toString() },
            });
            const { 'transfer-encoding': _chunked, connection: _connection, ...kept } = answered;
            outgoing.writeHead(status, kept).end(bytes);
          });
        });
        onward.on('error', (error) => outgoing.destroy(error));
        onward.end(body);
      });
    });
    return proxy;
  }

  /** What went through since the last call. */
  take(): readonly Exchange[] {
    const { exchanges } = this;
    this.exchanges = [];
    return exchanges;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    this.agent.destroy();
  }
}
