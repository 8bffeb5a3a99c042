import { AsyncResource } from 'node:async_hooks';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { EMPTY, filter } from 'rxjs';
import * as library from 'nestjs-medplum';
import {
  and,
  ClientProxyAuditSink,
  FileAuditSink,
  literal,
  LoggerAuditSink,
  MedplumAudit,
  MedplumAuditEventSink,
  MedplumError,
  MedplumExceptionFilter,
  MedplumModule,
  OnBehalfOfGuard,
  OnBehalfOfInterceptor,
  RunOnBehalfOf,
} from 'nestjs-medplum';
import * as opentelemetry from 'nestjs-medplum/opentelemetry';
import { MedplumOpenTelemetryModule } from 'nestjs-medplum/opentelemetry';
import * as terminus from 'nestjs-medplum/terminus';
import { MedplumHealthIndicator, MedplumHealthModule } from 'nestjs-medplum/terminus';
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

/** A provider of an app, which one of our decorators gets hold of the container for. */
@Injectable()
class Reminders {
  @RunOnBehalfOf(() => PLANTED.membership)
  remind(): void {}
}

/** What is made in a test remembers the test, and so everything that tests before it have failed with. */
const outside = new AsyncResource('Test file');

let app: MedplumApp;
let log: CapturedLog;

/** One app for all tests: its client has been used for everything, so that whatever is kept is there. */
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

/** What apps get into their hands, by its class; what has no class of its own by what it is. */
const OBJECTS: Readonly<Record<string, () => unknown>> = {
  MedplumService: () => app.medplum,
  'a service that acts as somebody': () => app.medplum.actingAs(PLANTED.membership),
  'the methods of files': () => app.medplum.binaries,
  'the methods of bots': () => app.medplum.bots,
  'the methods of jobs': () => app.medplum.bulk,
  'the methods of memberships': () => app.medplum.memberships,
  'the methods of operations': () => app.medplum.operations,
  'a bound function': () => ({ bound: inside(() => app.medplum.bind(() => undefined)) }),
  'the fetch of a service': () => ({ fetch: app.medplum.fetch }),
  'a call that is under way': () => inside(() => app.medplum.readResource('Patient', PLANTED.record)),
  'the pages of a search': () => app.medplum.searchResourcePages('Patient', { name: PLANTED.query }, FOR_SOMEBODY),
  'the matches of a search, tied to a scope': () =>
    inside(() => app.medplum.iterateResources('Patient', { name: PLANTED.query })),
  'a download': () => inside(() => app.medplum.binaries.download(PLANTED.record)),
  'an answer of fetch': () => inside(() => app.medplum.fetch(`fhir/R4/Patient/${PLANTED.record}`)),
  // Its baseUrl is there to be read: MedplumClient of @medplum/core gets it.
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
  FileAuditSink: () => new FileAuditSink({ path, form: 'phi', chain: { key: PLANTED.clientSecret.repeat(2) } }),
  ClientProxyAuditSink: () => new ClientProxyAuditSink({ emit: () => EMPTY }, { pattern: PLANTED.query, form: 'phi' }),
  MedplumAuditEventSink: () => new MedplumAuditEventSink(app.medplum),
  MedplumExceptionFilter: () => app.module.get(ModuleRef).create(MedplumExceptionFilter),
  OnBehalfOfGuard: () => app.module.get(ModuleRef).create(OnBehalfOfGuard),
  OnBehalfOfInterceptor: () => app.module.get(ModuleRef).create(OnBehalfOfInterceptor),
  'a provider with a decorated method': () => app.module.get(ModuleRef).create(Reminders),
  'the pipe of @CurrentOnBehalfOf()': () => app.module.get(ModuleRef).create(CurrentOnBehalfOfPipe),
  'what an async resource of a scope remembers': () => inside(() => new AsyncResource('Test')),
  // Internal, but in the container of every app.
  'the connection of a client': () => app.module.get(getConnectionToken()),
  'the registry of clients': () => app.module.get(OnBehalfOfRegistry),
  'the resolver of identities': () => app.module.get(OnBehalfOfInvocations),
  'the reader of decorators': () => app.module.get(OnBehalfOfExplorer),
};

/** Classes whose objects are what the caller has put into them: as much to be shown as a text or a resource. */
const VALUES: Readonly<Record<string, () => unknown>> = {
  SearchTerm: () => literal(PLANTED.query),
  SearchAnd: () => and(PLANTED.query),
};

describe.each(Object.entries(OBJECTS))('%s', (_name, make) => {
  it('shows nothing, however it is looked at', async () => {
    const made = outside.runInAsyncScope(make);
    expect(leaksOf(made)).toEqual([]);
    const settled = await made;
    expect(leaksOf(settled)).toEqual([]);
    await discard(settled);
  });
});

/** Lets go of the connection of an answer that nobody reads. */
async function discard(answer: unknown): Promise<void> {
  const { stream, body } = Object(answer) as { stream?: { destroy(): void }; body?: ReadableStream };
  stream?.destroy();
  await body?.cancel?.();
}

describe('A value', () => {
  it.each(Object.entries(VALUES))('%s shows what the caller has put into it', (_name, make) => {
    expect(leaksOf(make())).not.toEqual([]);
  });
});

/** Getters that anybody may evaluate. */
const GETTERS = [
  'MedplumAudit.isInSink',
  'MedplumAudit.isObserved',
  'MedplumAudit.sharedQueues',
  'MedplumAudit.sinkStats',
  'RecordedRequestEvent.endedAt',
  'RecordedRequestEvent.startedAt',
];

const isError = (type: { prototype: unknown }) => type === MedplumError || type.prototype instanceof Error;

describe('These tests', () => {
  const exported: object = { ...library, ...opentelemetry, ...terminus };
  const classes = Object.entries(exported).filter(([, value]) => /^class\b/.test(String(value)));

  it('know every class that the package exports: a new one belongs into OBJECTS, or into VALUES', () => {
    const others = classes.filter(([, type]) => !isError(type as { prototype: unknown })).map(([name]) => name);
    expect(others.filter((name) => !(name in OBJECTS) && !(name in VALUES))).toEqual([]);
  });

  it('know every getter: behind a new one stands nothing that is planted, or it is a door', () => {
    evaluated.clear();
    const audit = app.module.get(MedplumAudit);
    [app.medplum, audit, app.events].forEach((one) => leaksOf(one));
    expect([...evaluated].toSorted()).toEqual(GETTERS);
  });

  it('would find what leaks: doors lead to what is planted', () => {
    const event = app.events.find(({ onBehalfOf }) => onBehalfOf?.includes(PLANTED.membership));
    expect(leaksOf(event?.toPhiAudit({ includeQuery: true }))).not.toEqual([]);
    expect(leaksOf({ [Symbol('hidden')]: [new Map([[{ deep: Buffer.from(PLANTED.token) }, 1]])] })).not.toEqual([]);
    expect(leaksOf(`Basic ${Buffer.from(`a:${PLANTED.clientSecret}`).toString('base64')}`)).not.toEqual([]);
  });
});
