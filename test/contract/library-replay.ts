import { isDeepStrictEqual } from 'node:util';
import type { INestApplicationContext } from '@nestjs/common';
import { getMedplumToken, MedplumAudit, type MedplumService, type RequestEvent } from 'nestjs-medplum';
import { fetchCall, type FilledRequest, type LibraryCall, rawCall, typedCall } from './library-call';
import { asOutcome, outcomeOf, refusalOf } from './library-expectation';
import type { Exchange, RecordingProxy } from './recording-proxy';
import type { Seeded, WireCase, WireExpectation } from './wire-case.types';
import { differences } from './wire-match';
import { captureAll } from './wire-runner';
import { WireVariables } from './wire-variables';

/** The methods of `MedplumService`, or its `fetch`. */
export type Road = 'service' | 'fetch';

/** Everything that one call of the library did. */
interface Replay {
  readonly request: FilledRequest;
  readonly call: LibraryCall;
  /** The identity that the case asks for. */
  readonly onBehalfOf: unknown;
  readonly result: unknown;
  readonly error: unknown;
  readonly exchanges: readonly Exchange[];
  readonly events: readonly RequestEvent[];
}

/** Whether the library can be made to send a case: no other methods, no missing credentials, one identity. */
export function isCallable({ request, client, onBehalfOf }: WireCase): boolean {
  const isMethod = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].includes(request.method);
  return isMethod && client !== 'none' && !Array.isArray(onBehalfOf);
}

/** Names the client of a case. Each combination is a client of its own in the app. */
export function clientOf({ client, auth, extended = false }: WireCase): string {
  return `${client} ${auth} ${String(extended)}`;
}

/** Makes the recorded calls with the library. It looks at the wire, at the result and at the event of each. */
export class LibraryReplay {
  private readonly variables: WireVariables;
  private events: RequestEvent[] = [];

  constructor(
    private readonly app: INestApplicationContext,
    private readonly proxy: RecordingProxy,
    private readonly seeded: Seeded,
    private readonly road: Road,
  ) {
    this.variables = new WireVariables(seeded, `lib${road}${Date.now().toString(36)}`);
    app.get(MedplumAudit).events$.subscribe((event) => this.events.push(event));
  }

  /** Makes one call. Returns a line for everything that is not as it should be. */
  async run(wireCase: WireCase): Promise<string[]> {
    const request = this.filled(wireCase);
    const call = this.road === 'fetch' ? fetchCall(request) : (typedCall(request) ?? rawCall(request));
    if (!call) {
      return [];
    }
    const replay = await this.replay(wireCase, request, call);
    const count = replay.events.length === 1 ? [] : [`there were ${replay.events.length} events`];
    const [exchange, ...others] = replay.exchanges;
    if (!exchange) {
      return [...count, ...asRefused(wireCase, replay)];
    }
    const reason = refusalOf(request, replay.onBehalfOf, call.kind);
    return [
      ...count,
      ...(reason === undefined ? [] : [`it was sent, although it has ${reason}`]),
      ...(others.length === 0 ? [] : [`it was sent ${others.length + 1} times`]),
      ...asAsked(wireCase, replay, exchange),
      ...(wireCase.malformed === true ? [] : this.asRecorded(wireCase, exchange)),
      ...asMade(replay, exchange),
      ...captureAll(wireCase, exchange.answer, this.variables),
    ];
  }

  private async replay(wireCase: WireCase, request: FilledRequest, call: LibraryCall): Promise<Replay> {
    const medplum = this.app.get<MedplumService>(getMedplumToken(clientOf(wireCase)));
    const onBehalfOf = this.variables.fill(wireCase.onBehalfOf);
    this.proxy.take();
    this.events = [];
    const options = { headers: request.headers, ...(typeof onBehalfOf === 'string' ? { onBehalfOf } : {}) };
    const [result, error] = await call.run(medplum, options).then(
      (value) => [value, undefined] as const,
      (reason: unknown) => [undefined, reason] as const,
    );
    const exchanges = this.proxy.take().filter(({ path }) => path !== 'oauth2/token');
    return { request, call, onBehalfOf, result, error, exchanges, events: this.events };
  }

  private filled({ request }: WireCase): FilledRequest {
    const path = String(this.variables.fill(request.path));
    const headers = Object.entries(this.variables.fill(request.headers ?? {}) as Record<string, string | null>);
    return {
      method: request.method,
      path: path.startsWith(this.seeded.baseUrl) ? path.slice(this.seeded.baseUrl.length) : path,
      headers: Object.fromEntries(headers.filter((one): one is [string, string] => one[1] !== null)),
      body: request.body === undefined ? undefined : this.variables.fill(request.body),
    };
  }

  private asRecorded({ expect: { unordered, ...rest } }: WireCase, { answer }: Exchange): string[] {
    const expected = this.variables.fill(rest) as WireExpectation;
    return differences({ ...expected, ...(unordered && { unordered }) }, answer);
  }
}

/** The library may refuse what it has to, and else only what the server refuses as well. */
function asRefused(wireCase: WireCase, { request, call, onBehalfOf, error, events: [event] }: Replay): string[] {
  const isOurs = refusalOf(request, onBehalfOf, call.kind) !== undefined || wireCase.malformed === true;
  return [
    ...unequal('effect of the error', 'none', (error as { effect?: unknown } | undefined)?.effect),
    ...unequal('outcome', 'refused', event?.outcome),
    ...unequal('effect', 'none', event?.effect),
    ...unequal('attempts', 0, event?.attempts.length),
    ...(isOurs || wireCase.expect.status >= 400 ? [] : ['the library refused what the server accepts']),
  ];
}

/** Above all: the identity that was asked for is the one that was sent. */
function asAsked(
  { malformed }: WireCase,
  { request, onBehalfOf }: Replay,
  { method, path, headers }: Exchange,
): string[] {
  const sent = headers['x-medplum-on-behalf-of'];
  const isNobody = onBehalfOf === null || onBehalfOf === '';
  const isOneReference = typeof sent === 'string' && /^[A-Z][A-Za-z]+\/[\w.-]{1,64}$/.test(sent);
  return [
    ...unequal('method', request.method, method),
    ...unequal('path', decoded(request.path), decoded(path)),
    ...(malformed === true && !isNobody
      ? unequal('whether the identity is one reference', true, isOneReference)
      : unequal('identity', isNobody ? undefined : onBehalfOf, sent)),
  ];
}

/** What the library made of the response. */
function asMade({ request, call, result, error, events: [event] }: Replay, { answer, headers }: Exchange): string[] {
  const expected = outcomeOf(request, call, answer);
  const identity = headers['x-medplum-on-behalf-of'];
  const attempt = event?.attempts[0];
  return [
    ...unequal('status of the event', answer.status, event?.status),
    ...unequal('effect of the event', expected.effect, event?.effect),
    ...unequal('outcome of the event', expected.error === undefined ? 'success' : 'error', event?.outcome),
    ...unequal('identity of the event', identity, event?.onBehalfOf),
    ...unequal('attempts of the event', 1, event?.attempts.length),
    ...unequal('status of the attempt', answer.status, attempt?.status),
    ...unequal('identity of the attempt', identity ?? null, attempt?.onBehalfOf),
    ...(call.kind === 'fetch'
      ? unequal('response', responseOf(answer), result)
      : unequal('error', expected.error, (error as Error | undefined)?.constructor.name)),
    ...(error === undefined
      ? []
      : unequal('effect of the error', expected.effect, (error as { effect?: unknown }).effect)),
    ...(call.isTyped && error === undefined ? unequal('result', JSON.parse(answer.text), result) : []),
  ];
}

/** What `fetch` shows of a response. Of a refusal, it keeps the OperationOutcome only. */
function responseOf(answer: Exchange['answer']): unknown {
  const { status, text, headers } = answer;
  // `Response.text()` drops the byte order mark.
  return {
    status,
    text: status < 400 ? text.replace(/^\uFEFF/, '') : (asOutcome(answer) ?? ''),
    etag: headers.etag ?? null,
  };
}

/** A path, with its query decoded: the library encodes more characters than it has to. */
function decoded(path: string): unknown {
  const [before = '', query = ''] = path.split(/\?(.*)/s, 2);
  return [before, ...new URLSearchParams(query)];
}

function unequal(what: string, expected: unknown, got: unknown): string[] {
  return isDeepStrictEqual(expected, got) ? [] : [`${what}: expected ${shown(expected)}, got ${shown(got)}`];
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 300);
}
