import { AsyncResource } from 'node:async_hooks';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { EMPTY, filter } from 'rxjs';
import * as library from 'nestjs-medplum';
import {
  and,
  AuditRecordRefusedError,
  ClientProxyAuditSink,
  FileAuditSink,
  literal,
  LoggerAuditSink,
  MedplumAudit,
  MedplumAuditEventSink,
  MedplumError,
  MedplumExceptionFilter,
  MedplumModule,
  MedplumRouteReport,
  MemoryStore,
  OnBehalfOfGuard,
  OnBehalfOfInterceptor,
  RunOnBehalfOf,
} from 'nestjs-medplum';
import * as delegation from 'nestjs-medplum/delegation';
import * as opentelemetry from 'nestjs-medplum/opentelemetry';
import { MedplumOpenTelemetryModule } from 'nestjs-medplum/opentelemetry';
import * as terminus from 'nestjs-medplum/terminus';
import { MedplumHealthIndicator, MedplumHealthModule } from 'nestjs-medplum/terminus';
import * as webhooks from 'nestjs-medplum/webhooks';
import { MedplumWebhookGuard } from '../../lib/integrations/webhooks/medplum-webhook.guard';
import { MedplumWebhookInterceptor } from '../../lib/integrations/webhooks/medplum-webhook.interceptor';
import { WebhookRequest } from '../../lib/integrations/webhooks/webhook-request';
import { getConnectionToken } from '../../lib/medplum.tokens';
import { CurrentOnBehalfOfPipe } from '../../lib/on-behalf-of/current-on-behalf-of.decorator';
import { OnBehalfOfExplorer } from '../../lib/on-behalf-of/on-behalf-of.explorer';
import { OnBehalfOfInvocations } from '../../lib/on-behalf-of/on-behalf-of.invocations';
import { OnBehalfOfRegistry } from '../../lib/on-behalf-of/on-behalf-of.registry';
import { consume, SURFACE } from '../service/surface';
import { type CapturedLog, captureLog } from '../support/captured-log';
import type { MedplumApp } from '../support/medplum-app';
import { evaluated, leaksOf, PLANTED } from '../support/planted';
import { FOR_SOMEBODY, startTaintedApp } from '../support/tainted-app';

/** A provider of an app. The decorator keeps a reference to the container on it. */
@Injectable()
class Reminders {
  @RunOnBehalfOf(() => PLANTED.membership)
  remind(): void {}
}

/** Objects created in a test keep a reference to it, and so to the failures of earlier tests. Create them outside. */
const outside = new AsyncResource('Test file');

let app: MedplumApp;
let log: CapturedLog;

/** Starts one app for all tests and calls every method once, so that the client holds everything that it keeps. */
beforeAll(async () => {
  log = captureLog();
  const imports = [MedplumHealthModule.forRoot(), MedplumOpenTelemetryModule.forRoot()];
  app = await startTaintedApp({ auth: 'client-credentials', membershipCheck: true }, undefined, { imports });
  await app.module.get(MedplumHealthIndicator, { strict: false }).isHealthy('medplum');
  for (const use of Object.values(SURFACE)) {
    await consume(await app.medplum.onBehalfOf(PLANTED.membership, () => use(app.medplum, {})));
  }
});
afterAll(async () => {
  await app.close();
  log.restore();
});

const inside = <T>(fn: () => T): T => app.medplum.onBehalfOf(PLANTED.membership, fn);
const path = join(tmpdir(), PLANTED.record, 'audit.ndjson');

/** Every object that an app can get. The key is the name of its class, or a description if it has none. */
const OBJECTS: Readonly<Record<string, () => unknown>> = {
  MedplumService: () => app.medplum,
  'a service made by actingAs()': () => app.medplum.actingAs(PLANTED.membership),
  'the binaries group': () => app.medplum.binaries,
  'the bots group': () => app.medplum.bots,
  'the bulk group': () => app.medplum.bulk,
  'the memberships group': () => app.medplum.memberships,
  'the operations group': () => app.medplum.operations,
  'a bound function': () => ({ bound: inside(() => app.medplum.bind(() => undefined)) }),
  'the fetch of a service': () => ({ fetch: app.medplum.fetch }),
  'a call in flight': () => inside(() => app.medplum.deleteResource('Patient', PLANTED.record)),
  'the pages of a search': () => app.medplum.searchResourcePages('Patient', { name: PLANTED.query }, FOR_SOMEBODY),
  'the matches of a search, tied to a scope': () =>
    inside(() => app.medplum.iterateResources('Patient', { name: PLANTED.query })),
  'a download': () => inside(() => app.medplum.binaries.download(PLANTED.record)),
  'a response of fetch': () => inside(() => app.medplum.fetch(`fhir/R4/Patient/${PLANTED.record}`)),
  // baseUrl is left out because it is meant to be read: MedplumClient of @medplum/core needs it.
  'the options for @medplum/core': () => ({ ...app.medplum.coreClientOptions(), baseUrl: undefined }),
  'the storage for @medplum/core': () => {
    const { storage } = app.medplum.coreClientOptions();
    storage.setObject('login', { accessToken: PLANTED.token });
    return storage;
  },
  MedplumModule: () => app.module.get(MedplumModule),
  MedplumHealthIndicator: () => app.module.get(MedplumHealthIndicator, { strict: false }),
  MedplumHealthModule: () => app.module.get(MedplumHealthModule),
  MedplumOpenTelemetryModule: () => app.module.get(MedplumOpenTelemetryModule),
  MedplumAudit: () => app.module.get(MedplumAudit),
  'the events, filtered': () => app.module.get(MedplumAudit).events$.pipe(filter(() => true)),
  'a subscription to the events': () => app.module.get(MedplumAudit).events$.subscribe(() => undefined),
  'the events themselves': () => app.events,
  'the attempts of events': () => app.events.flatMap(({ attempts }) => attempts),
  LoggerAuditSink: () => new LoggerAuditSink({ form: 'phi' }),
  // Thrown by sinks, not by the library's methods.
  AuditRecordRefusedError: () => new AuditRecordRefusedError(app.events, new Error(PLANTED.query)),
  FileAuditSink: () => new FileAuditSink({ path, form: 'phi', chain: { key: PLANTED.clientSecret.repeat(2) } }),
  ClientProxyAuditSink: () => new ClientProxyAuditSink({ emit: () => EMPTY }, { pattern: PLANTED.query, form: 'phi' }),
  MedplumAuditEventSink: () => new MedplumAuditEventSink(app.medplum),
  MemoryStore: async () => {
    const store = new MemoryStore();
    await store.set(PLANTED.token, PLANTED.record, 60_000);
    return store;
  },
  MedplumExceptionFilter: () => app.module.get(ModuleRef).create(MedplumExceptionFilter),
  OnBehalfOfGuard: () => app.module.get(ModuleRef).create(OnBehalfOfGuard),
  OnBehalfOfInterceptor: () => app.module.get(ModuleRef).create(OnBehalfOfInterceptor),
  'a provider with a decorated method': () => app.module.get(ModuleRef).create(Reminders),
  'the pipe of @CurrentOnBehalfOf()': () => app.module.get(ModuleRef).create(CurrentOnBehalfOfPipe),
  'an async resource created in a scope': () => inside(() => new AsyncResource('Test')),
  // These are internal, but the container of every app holds them.
  'the connection of a client': () => app.module.get(getConnectionToken()),
  'the registry of clients': () => app.module.get(OnBehalfOfRegistry),
  'the resolver of identities': () => app.module.get(OnBehalfOfInvocations),
  'the guard of webhooks': () => app.module.get(ModuleRef).create(MedplumWebhookGuard),
  'the interceptor of webhooks': () => app.module.get(ModuleRef).create(MedplumWebhookInterceptor),
  'what a webhook keeps on its request': () => webhookRequest(),
  'the reader of decorators': () => app.module.get(OnBehalfOfExplorer),
  MedplumRouteReport: () => app.module.get(MedplumRouteReport),
};

function webhookRequest(): WebhookRequest {
  const request = new WebhookRequest();
  request.setDelivery({ interaction: 'create', type: 'Patient', id: PLANTED.record, version: PLANTED.version });
  const resource = { resourceType: 'Patient', id: PLANTED.record } as const;
  request.setEvent({ interaction: 'create', resourceType: 'Patient', id: PLANTED.record, resource });
  return request;
}

/** Classes whose objects are values of the caller. Like a text or a resource, they may be shown. */
const VALUES: Readonly<Record<string, () => unknown>> = {
  SearchTerm: () => literal(PLANTED.query),
  SearchAnd: () => and(PLANTED.query),
};

describe.each(Object.entries(OBJECTS))('%s', (_name, make) => {
  it('shows nothing planted, however it is printed', async () => {
    const made = outside.runInAsyncScope(make);
    expect(leaksOf(made)).toEqual([]);
    const settled = await made;
    expect(leaksOf(settled)).toEqual([]);
    await discard(settled);
  });
});

/** Releases the connection of a response that nobody reads. */
async function discard(answer: unknown): Promise<void> {
  const { stream, body } = Object(answer) as { stream?: { destroy(): void }; body?: ReadableStream };
  stream?.destroy();
  await body?.cancel?.();
}

describe('a value of the caller', () => {
  it.each(Object.entries(VALUES))('%s shows its content', (_name, make) => {
    expect(leaksOf(make())).not.toEqual([]);
  });
});

/** Getters that show nothing planted. */
const GETTERS = [
  'MedplumAudit.isInSink',
  'MedplumAudit.isObserved',
  'MedplumAudit.sharedQueues',
  'MedplumAudit.sinkStats',
  'MedplumService.quota',
  'RecordedRequestEvent.endedAt',
  'RecordedRequestEvent.startedAt',
];

const isError = (type: { prototype: unknown }) =>
  type === MedplumError || Object.prototype.isPrototypeOf.call(MedplumError.prototype, type.prototype as object);

describe('these tests', () => {
  const exported: object = { ...library, ...delegation, ...opentelemetry, ...terminus, ...webhooks };
  const classes = Object.entries(exported).filter(([, value]) => /^class\b/.test(String(value)));

  it('cover every class that the package exports; add a new one to OBJECTS or VALUES', () => {
    const others = classes.filter(([, type]) => !isError(type as { prototype: unknown })).map(([name]) => name);
    expect(others.filter((name) => !(name in OBJECTS) && !(name in VALUES))).toEqual([]);
  });

  it('cover every getter; a new one shows nothing planted or belongs in DOORS', () => {
    evaluated.clear();
    const audit = app.module.get(MedplumAudit);
    [app.medplum, audit, app.events].forEach((one) => leaksOf(one));
    expect([...evaluated].toSorted()).toEqual(GETTERS);
  });

  it('find planted values that do leak', () => {
    const event = app.events.find(({ onBehalfOf }) => onBehalfOf?.includes(PLANTED.membership));
    expect(leaksOf(event?.toPhiAudit({ includeQuery: true }))).not.toEqual([]);
    expect(leaksOf({ [Symbol('hidden')]: [new Map([[{ deep: Buffer.from(PLANTED.token) }, 1]])] })).not.toEqual([]);
    expect(leaksOf(`Basic ${Buffer.from(`a:${PLANTED.clientSecret}`).toString('base64')}`)).not.toEqual([]);
  });
});
