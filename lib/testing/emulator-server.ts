import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { adminAnswer } from './admin-routes';
import { AsyncJobs } from './async-jobs';
import { actOnBehalfOf, authenticate, authKind } from './authentication';
import type { Caller } from './caller';
import type { EmulatorState } from './emulator-state';
import { errorAnswer, jsonAnswer, outcomeAnswer, traceIdOf, type Answer, type Exchange } from './exchange';
import { FaultInjector } from './faults';
import { FhirRoutes } from './fhir-routes';
import type { MedplumEmulatorOptions } from './medplum-emulator.options';
import { core } from './medplum-peers';
import { discoveryAnswer, logoutAnswer, meAnswer, tokenAnswer, userInfoAnswer } from './oauth-routes';
import { publicAnswer } from './public-answers';
import type { RateLimitState } from './rate-limiter';
import { hasValidLogTag, withoutProjectPrefix, withVersionHeaders } from './server-version';
import { StorageUrls } from './storage-urls';
import { faultAnswer, sendAnswer, type Logged } from './wire-answer';

const LOOPBACK = '127.0.0.1';
/** Size of the largest body that is read, in bytes. Only Binary content may be this large. */
const MAX_BYTES = 50 * 1024 * 1024;

/** How many requests the log holds at most. */
const MAX_LOGGED = 100_000;

/** The HTTP side of an emulator: connections, faults, the request log, and the order of the checks on a request. */
export class EmulatorServer {
  readonly log: Logged[] = [];
  readonly faults = new FaultInjector();
  private readonly server: Server;
  private readonly storage: StorageUrls;
  private readonly jobs: AsyncJobs;
  private readonly fhir: FhirRoutes;

  constructor(
    private readonly state: EmulatorState,
    private readonly onRequest?: MedplumEmulatorOptions['onRequest'],
  ) {
    this.storage = new StorageUrls(state);
    this.jobs = new AsyncJobs(this.storage);
    this.fhir = new FhirRoutes(this.storage, this.jobs);
    this.server = createServer((request, response) => void this.serve(request, response));
    this.server.keepAliveTimeout = 90_000;
  }

  /**
   * @param keepAlive whether the server and its connections keep the process running
   * @returns `http://127.0.0.1:<port>/`
   */
  async listen(port: number, keepAlive: boolean): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'EADDRINUSE'
            ? new Error(`Port ${port} on ${LOOPBACK} is in use. Pass another port, or 0 for any free one.`, {
                cause: error,
              })
            : error,
        ),
      );
      this.server.listen(port, LOOPBACK, resolve);
    });
    if (!keepAlive) {
      this.server.unref();
      this.server.on('connection', (socket) => socket.unref());
    }
    const { port: actual } = this.server.address() as AddressInfo;
    return `http://${LOOPBACK}:${actual}/`;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
    await this.jobs.settled();
  }

  /** Responds to one request. It never rejects, so that no request can end the process. */
  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const entry = logEntry(request);
    this.record(entry);
    const { onRequest } = this;
    if (onRequest) {
      const began = performance.now();
      response.once('close', () => onRequest(entry, performance.now() - began));
    }
    try {
      const fault = this.faults.take(entry);
      if (fault?.delayMs) {
        await wait(fault.delayMs);
      }
      if (fault?.reset === 'before-handling') {
        request.socket.resetAndDestroy();
        return;
      }
      const content = await readContent(request);
      const answer = faultAnswer(fault) ?? (await this.answer(request, entry, content));
      sendAnswer(request, response, entry, answer, fault);
    } catch {
      // The client disconnected, or broke off its body, so nobody waits for a response.
      request.socket.destroy();
    }
  }

  /** Drops the older half of a full log, so that a process that runs for days does not fill its memory. */
  private record(entry: Logged): void {
    if (this.log.push(entry) > MAX_LOGGED) {
      this.log.splice(0, MAX_LOGGED / 2);
    }
  }

  private async answer(request: IncomingMessage, entry: Logged, content: Buffer | undefined): Promise<Answer> {
    const { headers } = request;
    const { serverVersion } = this.state;
    const ids = { requestId: randomUUID(), traceId: traceIdOf(headers) };
    const query = request.url?.slice(entry.path.length + 1) ?? '';
    const answer = await this.handle(request, entry, content, { ...ids, query });
    return withVersionHeaders(answer, { serverVersion, headers, query, ...ids });
  }

  private async handle(
    request: IncomingMessage,
    entry: Logged,
    content: Buffer | undefined,
    known: Pick<Exchange, 'requestId' | 'traceId' | 'query'>,
  ): Promise<Answer> {
    const { headers } = request;
    const { state } = this;
    let caller: Caller | undefined;
    try {
      if (!hasValidLogTag(headers, state.serverVersion)) {
        return outcomeAnswer(core.badRequest('Invalid X-Medplum-Log-Tag header'));
      }
      await state.store.settled();
      caller = authenticate(state, headers.authorization);
      caller = caller && (await actOnBehalfOf(state, caller, entry.onBehalfOf));
    } catch (error) {
      return outcomeAnswer(core.normalizeOperationOutcome(error));
    }
    // From here on, requests count towards the limits, and outcomes carry tracing ids.
    const path = withoutProjectPrefix(entry.path, state.serverVersion);
    const limit = state.limiter.countRequest(request.socket.remoteAddress ?? '', /^\/(auth|oauth2)\//.test(path));
    const { method, extended } = entry;
    const body = content ?? Buffer.alloc(0);
    const exchange: Exchange = { state, method, path, headers, content: body, caller, extended, ...known };
    if (limit.used > limit.limit) {
      return { ...jsonAnswer(429, core.tooManyRequests), headers: { ratelimit: limitLine('requests', limit) } };
    }
    const answer = await this.routeOrRefuse(exchange, content === undefined);
    return { ...answer, headers: { ...answer.headers, ratelimit: this.rateLimit(limit, path, caller) } };
  }

  private async routeOrRefuse(exchange: Exchange, tooLarge: boolean): Promise<Answer> {
    try {
      decodeURIComponent(exchange.path);
    } catch {
      return jsonAnswer(500, { msg: 'Internal Server Error' });
    }
    try {
      return tooLarge ? outcomeAnswer(core.badRequest('File too large'), exchange) : await this.route(exchange);
    } catch (error) {
      return errorAnswer(error, exchange);
    }
  }

  private async route(exchange: Exchange): Promise<Answer> {
    const { method, path } = exchange;
    const fhirPath = /^\/fhir\/R4(\/.*)?$/.exec(path);
    if (fhirPath) {
      return this.fhir.answer(exchange, (fhirPath[1] ?? '').replace(/\/$/, ''));
    }
    if (/^\/fhir\/r4(\/|$)/i.test(path)) {
      // In other capitals the server does not find the end of its own prefix, and so no route.
      return outcomeAnswer(exchange.caller ? core.notFound : core.unauthorized, exchange);
    }
    switch (`${method} ${path}`) {
      case 'POST /oauth2/token':
        return tokenAnswer(exchange);
      case 'POST /oauth2/logout':
        return logoutAnswer(exchange);
      case 'GET /oauth2/userinfo':
        return userInfoAnswer(exchange);
      case 'GET /auth/me':
        return meAnswer(exchange);
      case 'GET /.well-known/openid-configuration':
      case 'GET /.well-known/oauth-authorization-server':
        return discoveryAnswer(exchange);
      case 'GET /healthcheck':
        return jsonAnswer(200, { ok: true, version: this.state.serverVersion, emulator: true });
      default:
        return path.startsWith('/storage/')
          ? this.storage.answer(exchange)
          : (publicAnswer(exchange, path) ?? (await adminAnswer(exchange, this.storage)) ?? unknownPath(exchange));
    }
  }

  /** One line for the remote address, and on FHIR routes another one for the client. */
  private rateLimit(requests: RateLimitState, path: string, caller: Caller | undefined): string[] {
    const onFhir = caller && path.startsWith('/fhir/') && !/^\/fhir\/R4\/Binary\b/.test(path);
    return [
      limitLine('requests', requests),
      ...(onFhir ? [limitLine('fhirInteractions', this.state.limiter.points(caller.membership.id))] : []),
    ];
  }
}

function limitLine(name: string, { remaining, msToReset }: RateLimitState): string {
  return `"${name}";r=${remaining};t=${Math.ceil(msToReset / 1000)}`;
}

function logEntry(request: IncomingMessage): Logged {
  const url = request.url ?? '/';
  const end = url.indexOf('?');
  const path = end < 0 ? url : url.slice(0, end);
  const identity = request.headers['x-medplum-on-behalf-of'];
  return {
    method: request.method ?? 'GET',
    path,
    // Elsewhere the query may hold secrets, such as the signature of a storage URL or misplaced credentials.
    query: end >= 0 && /^\/(api\/)?fhir\//.test(path) ? url.slice(end + 1) : '',
    onBehalfOf: Array.isArray(identity) ? identity.join(', ') : identity,
    auth: authKind(request.headers.authorization),
    extended: request.headers['x-medplum'] === 'extended',
    status: undefined,
  };
}

/** Reads the whole body; `undefined` if it is larger than {@link MAX_BYTES}. */
async function readContent(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= MAX_BYTES) {
      chunks.push(chunk);
    }
  }
  return length > MAX_BYTES ? undefined : Buffer.concat(chunks);
}

function unknownPath({ method, path }: Exchange): Answer {
  const text = `Cannot ${method} ${path}`.replace(/[<>&]/g, '');
  const body = `<!DOCTYPE html>\n<html lang="en"><head><title>Error</title></head><body><pre>${text}</pre></body></html>\n`;
  return { status: 404, contentType: 'text/html; charset=utf-8', body };
}
