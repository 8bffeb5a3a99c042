import { Test, type TestingModule } from '@nestjs/testing';
import { getMedplumToken, MedplumAudit, MedplumModule, type MedplumService, type RequestEvent } from 'nestjs-medplum';
import { type ContractServer, contractCases, isRealServer, startContractServer } from './contract-server';
import { fetchCall, type FilledRequest, type LibraryCall, rawCall, typedCall } from './library-call';
import { asOutcome, outcomeOf, refusalOf } from './library-expectation';
import { type Exchange, RecordingProxy } from './recording-proxy';
import type { WireCase, WireExpectation } from './wire-case.types';
import { differences } from './wire-match';
import { captureAll } from './wire-runner';
import { WireVariables } from './wire-variables';

/** What the library cannot be made to send: other methods, no credentials, and several identities. */
const cases = contractCases().filter(
  ({ request, client, onBehalfOf }) =>
    ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].includes(request.method) &&
    client !== 'none' &&
    !Array.isArray(onBehalfOf),
);
const groups = [...new Set(cases.map(({ group }) => group))];

/** Names the client of a case: each combination is a client of its own in the app. */
const clientOf = ({ client, auth, extended = false }: WireCase): string => `${client} ${auth} ${String(extended)}`;

let server: ContractServer;
let proxy: RecordingProxy;
let app: TestingModule;
let events: RequestEvent[] = [];

beforeAll(async () => {
  server = await startContractServer();
  proxy = await RecordingProxy.start(server.baseUrl);
  const variables = new WireVariables(server.seeded, 'clients');
  const clients = new Map(cases.map((one) => [clientOf(one), one]));
  app = await Test.createTestingModule({
    imports: [...clients].map(([name, { client, auth, extended = false }]) => {
      const isWrong = client === 'badsecret';
      const id = isWrong ? 'C' : client;
      return MedplumModule.forRoot({
        name,
        baseUrl: proxy.baseUrl,
        publicUrl: server.seeded.baseUrl,
        clientId: variables.get(`${id}.id`),
        clientSecret: isWrong ? 'not-the-secret' : variables.get(`${id}.secret`),
        auth: auth === 'bearer' ? 'client-credentials' : 'basic',
        extended,
        requireOnBehalfOf: false,
        retry: { maxRetries: 0 },
      });
    }),
  }).compile();
  await app.init();
  app.get(MedplumAudit).events$.subscribe((event) => events.push(event));
});

afterAll(async () => {
  await app?.close();
  await proxy?.close();
  await server?.close();
});

/** Everything that one call of the library did. */
interface Replay {
  readonly result: unknown;
  readonly error: unknown;
  readonly exchanges: readonly Exchange[];
  readonly events: readonly RequestEvent[];
}

async function replay(
  wireCase: WireCase,
  request: FilledRequest,
  call: LibraryCall,
  onBehalfOf: unknown,
): Promise<Replay> {
  const medplum = app.get<MedplumService>(getMedplumToken(clientOf(wireCase)));
  proxy.take();
  events = [];
  const options = { headers: request.headers, ...(typeof onBehalfOf === 'string' ? { onBehalfOf } : {}) };
  const [result, error] = await call.run(medplum, options).then(
    (value) => [value, undefined] as const,
    (reason: unknown) => [undefined, reason] as const,
  );
  const exchanges = proxy.take().filter(({ path }) => path !== 'oauth2/token');
  return { result, error, exchanges, events };
}

describe.each(['service', 'fetch'] as const)(`recorded cases, called through the library (%s)`, (road) => {
  let variables: WireVariables;

  beforeAll(() => (variables = new WireVariables(server.seeded, `lib${road}${Date.now().toString(36)}`)));

  describe.each(groups)('%s', (group) => {
    const ofGroup = cases.filter((one) => one.group === group);

    it.each(ofGroup.map((one) => [one.id, one.title, one] as const))(
      '%s %s',
      async (_id, _title, wireCase) => {
        const request = filled(wireCase, variables);
        const onBehalfOf = variables.fill(wireCase.onBehalfOf);
        const call = road === 'fetch' ? fetchCall(request) : (typedCall(request) ?? rawCall(request));
        if (!call) {
          return;
        }
        const done = await replay(wireCase, request, call, onBehalfOf);
        expect(done.events).toHaveLength(1);
        const [exchange] = done.exchanges;
        if (!exchange) {
          expectRefused(wireCase, request, call, onBehalfOf, done);
          return;
        }
        expect(refusalOf(request, onBehalfOf, call.kind)).toBeUndefined();
        expect(done.exchanges).toHaveLength(1);
        expectAsAsked(wireCase, request, exchange, onBehalfOf);
        if (wireCase.malformed !== true) {
          const { unordered, ...rest } = wireCase.expect;
          const expected = variables.fill(rest) as WireExpectation;
          expect(differences({ ...expected, ...(unordered && { unordered }) }, exchange.answer)).toEqual([]);
        }
        expectOutcome(request, call, exchange, done);
        expect(captureAll(wireCase, exchange.answer, variables)).toEqual([]);
      },
      isRealServer ? 90_000 : undefined,
    );
  });
});

function filled({ request }: WireCase, variables: WireVariables): FilledRequest {
  const path = String(variables.fill(request.path));
  const headers = Object.entries(variables.fill(request.headers ?? {}) as Record<string, string | null>);
  return {
    method: request.method,
    path: path.startsWith(server.seeded.baseUrl) ? path.slice(server.seeded.baseUrl.length) : path,
    headers: Object.fromEntries(headers.filter((one): one is [string, string] => one[1] !== null)),
    body: request.body === undefined ? undefined : variables.fill(request.body),
  };
}

/** A path, and its query decoded: the library encodes more characters than it has to. */
function parts(path: string): { readonly path: string; readonly query: readonly (readonly [string, string])[] } {
  const [before = '', query = ''] = path.split(/\?(.*)/s, 2);
  return { path: before, query: [...new URLSearchParams(query)] };
}

/** The library may refuse what it has to, and else only what the server refuses as well. */
function expectRefused(
  wireCase: WireCase,
  request: FilledRequest,
  call: LibraryCall,
  onBehalfOf: unknown,
  { error, events: [event] }: Replay,
): void {
  expect(error).toMatchObject({ effect: 'none' });
  expect(event).toMatchObject({ outcome: 'refused', effect: 'none', attempts: [] });
  if (refusalOf(request, onBehalfOf, call.kind) === undefined && wireCase.malformed !== true) {
    expect(wireCase.expect.status).toBeGreaterThanOrEqual(400);
  }
}

/** Above all: the identity that was asked for is the one that was sent. */
function expectAsAsked(
  wireCase: WireCase,
  request: FilledRequest,
  { method, path, headers }: Exchange,
  onBehalfOf: unknown,
): void {
  expect({ method, ...parts(path) }).toEqual({ method: request.method, ...parts(request.path) });
  const sent = headers['x-medplum-on-behalf-of'];
  if (onBehalfOf === null || onBehalfOf === '') {
    expect(sent).toBeUndefined();
  } else if (wireCase.malformed === true) {
    expect(sent).toMatch(/^[A-Z][A-Za-z]+\/[\w.-]{1,64}$/);
  } else {
    expect(sent).toBe(onBehalfOf);
  }
}

function expectOutcome(
  request: FilledRequest,
  call: LibraryCall,
  { answer, headers }: Exchange,
  { result, error, events: [event] }: Replay,
): void {
  const expected = outcomeOf(request, call, answer);
  const isResponse = call.kind === 'fetch';
  if (isResponse) {
    expect(result).toEqual({
      status: answer.status,
      text: answer.status < 400 ? answer.text.replace(/^\uFEFF/, '') : (asOutcome(answer) ?? ''),
      etag: answer.headers.etag ?? null,
    });
  } else {
    expect((error as Error | undefined)?.constructor.name).toBe(expected.error);
  }
  if (expected.error !== undefined && !isResponse) {
    expect(error).toMatchObject({ effect: expected.effect });
  }
  if (expected.error === undefined && call.isTyped) {
    expect(result).toEqual(JSON.parse(answer.text));
  }
  expect(event).toMatchObject({
    status: answer.status,
    effect: expected.effect,
    outcome: expected.error === undefined ? 'success' : 'error',
    onBehalfOf: headers['x-medplum-on-behalf-of'],
    attempts: [{ status: answer.status, onBehalfOf: headers['x-medplum-on-behalf-of'] ?? null }],
  });
}
