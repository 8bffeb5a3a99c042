import { dirname, join } from 'node:path';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type DynamicModule, Module } from '@nestjs/common';
import { ignoreRequestsTo, type MedplumModuleOptions } from 'nestjs-medplum';
import { MedplumOpenTelemetryModule } from 'nestjs-medplum/opentelemetry';
import type { ObserveOptions } from '@nestjs/observe';
import { Agent } from 'undici';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { closeAll } from '../support/close-all';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import type { WireHandler } from '../support/wire-server';

interface RecordedSpan {
  readonly name: string;
  readonly tags: unknown;
}

/** What its subscription to the channels asks for, read from the package itself. */
type SubscribeOutgoingHttp = (
  recorder: { open(kind: string, name: string, tags: unknown): { end(error?: unknown): void } },
  currentTraceId: () => string,
  options: { ignore?: ((url: string) => boolean) | undefined },
) => () => void;

const OBSERVE = join(dirname(require.resolve('@nestjs/observe/package.json')), 'dist');
const { subscribeOutgoingHttp } = jest.requireActual<{ subscribeOutgoingHttp: SubscribeOutgoingHttp }>(
  join(OBSERVE, 'outgoing/http.integration.js'),
);
const { OBSERVE_OPTIONS } = jest.requireActual<{ OBSERVE_OPTIONS: string }>(join(OBSERVE, 'observe.constants.js'));

const PLANTED = ['planted-id', 'planted-value', 'planted-member', 'planted-trace'];
const STORAGE = 'https://storage.example';

const patient: WireHandler = ({ path }) => ({
  body: path.includes('?')
    ? { resourceType: 'Bundle', type: 'searchset' }
    : {
        resourceType: path.includes('Membership') ? 'ProjectMembership' : 'Patient',
        id: path.split('/').at(-1),
        accessPolicy: { reference: 'AccessPolicy/a1' },
      },
});

/** `@nestjs/observe` without its collector: its options, and its own subscription to the channels. */
@Module({})
class ObserveModule {
  static forRoot(options: Partial<ObserveOptions>): DynamicModule {
    const providers = [{ provide: OBSERVE_OPTIONS, useValue: options }];
    if (options.outgoing !== false && options.outgoing?.http !== false) {
      const http = options.outgoing?.http;
      observe(typeof http === 'object' ? http.ignore : undefined);
    }
    return { module: ObserveModule, providers };
  }
}

let app: MedplumApp | undefined;
let log: CapturedLog;
let spans: RecordedSpan[];
let stopListening: (() => void)[];

beforeEach(() => {
  log = captureLog();
  spans = [];
  stopListening = [];
  app = undefined;
});

afterEach(async () => {
  stopListening.forEach((stop) => stop());
  log.restore();
  await (app && closeAll(app));
});

const recorder = {
  open(kind: string, name: string, tags: unknown) {
    spans.push({ name: `${kind} ${name}`, tags });
    return { end: () => undefined };
  },
};

function observe(ignore?: (url: string) => boolean): void {
  stopListening.push(subscribeOutgoingHttp(recorder, () => 'planted-trace', { ignore }));
}

const listener = (): void => undefined;

function listen(channel = 'undici:request:create'): void {
  subscribe(channel, listener);
  stopListening.push(() => unsubscribe(channel, listener));
}

async function start(imports: DynamicModule[] = [], options: Partial<MedplumModuleOptions> = {}): Promise<MedplumApp> {
  return (app = await startMedplumApp(options, { imports, handler: patient }));
}

const warnings = (): string[] =>
  log
    .text('warn')
    .split('\n')
    .filter((line) => line.includes('ignoreRequestsTo'));

/** Makes calls; what was recorded of them, and the trace ids that were sent, as one text. */
async function callAll({ medplum, wire }: MedplumApp): Promise<string> {
  const onBehalfOf = 'ProjectMembership/planted-member';
  await medplum.readResource('Patient', 'planted-id', { onBehalfOf });
  await medplum.search('Patient', 'name=planted-value', { onBehalfOf });
  return JSON.stringify({ spans, headers: wire.requests.map(({ headers }) => headers['x-request-id']) });
}

const isOnLoopback = (url: string): boolean => url.startsWith('http://127.0.0.1');

describe('@nestjs/observe', () => {
  const CONNECTIONS: Readonly<Record<string, () => Partial<MedplumModuleOptions>>> = {
    'the pool of the library': () => ({ membershipCheck: true }),
    'a pool with one connection': () => ({ membershipCheck: true, pool: { connections: 1 } }),
    "an app's own agent that queues": () => {
      const agent = new Agent({ connections: 1 });
      stopListening.push(() => void agent.close());
      return { membershipCheck: true, dispatcher: agent };
    },
  };

  it.each(Object.entries(CONNECTIONS))('records nothing of calls over %s with the hook', async (_, options) => {
    const started = await start([], options());
    observe(ignoreRequestsTo(started.wire.baseUrl));
    const recorded = await callAll(started);
    expect(spans).toEqual([]);
    expect(PLANTED.filter((planted) => recorded.includes(planted))).toEqual([]);
    expect(started.wire.requests.length).toBeGreaterThanOrEqual(3);
  });

  it('would record ids, values and identities without the hook, and send its trace id', async () => {
    const started = await start([], { membershipCheck: true });
    observe();
    const recorded = await callAll(started);
    expect(PLANTED.filter((planted) => !recorded.includes(planted))).toEqual([]);
  });

  it('is warned about, once, unless it ignores every server of the client', async () => {
    await start([ObserveModule.forRoot({})]);
    expect(warnings()).toEqual([
      '@nestjs/observe records the addresses of requests to Medplum, which carry ids of records and search values. ' +
        'Give its ObserveModule the option outgoing: { http: { ignore } }, with ignoreRequestsTo(<baseUrl>, <storageOrigins>…) of nestjs-medplum.',
    ]);
  });

  it('is warned about beside OpenTelemetry, which does not quiet it', async () => {
    await start([ObserveModule.forRoot({ outgoing: { http: true } }), MedplumOpenTelemetryModule.forRoot()]);
    expect(warnings()).toHaveLength(1);
  });

  it('is warned about when it ignores the base URL only, and signed URLs lead elsewhere', async () => {
    await start([ObserveModule.forRoot({ outgoing: { http: { ignore: isOnLoopback } } })], {
      storageOrigins: [STORAGE],
    });
    expect(warnings()).toHaveLength(1);
  });

  it.each<[string, (url: string) => Partial<ObserveOptions>]>([
    ['has the hook', (url) => ({ outgoing: { http: { ignore: ignoreRequestsTo(url, STORAGE) } } })],
    ['has a hook of the app', () => ({ outgoing: { http: { ignore: () => true } } })],
  ])('is not warned about when it %s', async (_, optionsFor) => {
    const baseUrl = 'https://observed.example/';
    await start([ObserveModule.forRoot(optionsFor(baseUrl))], { baseUrl, storageOrigins: [STORAGE] });
    expect(warnings()).toEqual([]);
  });

  it.each<Partial<ObserveOptions>>([{ outgoing: false }, { outgoing: { http: false } }])(
    'with %j does not listen, but others may',
    async (options) => {
      await start([ObserveModule.forRoot(options)]);
      expect(warnings()).toEqual([]);
      listen();
      await app?.close();
      await start([ObserveModule.forRoot(options)]);
      expect(warnings().map((line) => line.split(' ', 1)[0])).toEqual(['Something']);
    },
  );
});

describe('A listener that nobody knows', () => {
  it.each(['undici:request:create', 'undici:client:sendHeaders'])('to %s is warned about, once', async (channel) => {
    listen(channel);
    await start();
    expect(warnings()).toHaveLength(1);
    expect(warnings()[0]).toMatch(
      /^Something in this process listens .* MedplumOpenTelemetryModule; .* turn it off\.$/,
    );
  });

  it('is taken for OpenTelemetry when MedplumOpenTelemetryModule is imported', async () => {
    listen();
    await start([MedplumOpenTelemetryModule.forRoot()]);
    expect(warnings()).toEqual([]);
  });

  it('is no matter when there is none', async () => {
    await start();
    expect(warnings()).toEqual([]);
  });
});

describe('The hook', () => {
  const ignore = ignoreRequestsTo('https://api.example.com/base/');

  it.each(['https://api.example.com/fhir/R4/Patient/1', new URL('https://api.example.com/x')])(
    'takes the address %s',
    (url) => {
      expect(ignore(url)).toBe(true);
      expect(ignore({ origin: url })).toBe(true);
    },
  );

  it.each(['https://api.example.com.evil.example/', 'http://api.example.com/', '', '/fhir/R4/Patient/1'])(
    'does not ignore %j',
    (url) => {
      expect(ignore(url)).toBe(false);
      expect(ignore({ origin: url })).toBe(false);
    },
  );
});
