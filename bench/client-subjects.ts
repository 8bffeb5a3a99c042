import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { ExecutionContext } from '@nestjs/common';
import { Agent, Pool, request, WebSocket } from 'undici';
import type { MedplumModuleOptions, MedplumPreparedRequest, MedplumService } from 'nestjs-medplum';
import type { Size } from './bench.types';
import { PATIENT_ID, PATIENT_IDS } from './patient-id';

/** One call with a response of the given size. */
export type Operation = (size: Size) => Promise<unknown>;

/** What to call, and with which build of the library. */
export interface Target {
  readonly baseUrl: string;
  /** The folder of the checkout whose `dist` and `node_modules` to load. */
  readonly checkout: string;
}

type Client = (target: Target) => Operation | Promise<Operation>;

const MEMBERSHIP = 'ProjectMembership/00000000-0000-4000-8000-00000000000a';
const HEADERS = {
  accept: 'application/fhir+json',
  authorization: `Basic ${Buffer.from('client:secret').toString('base64')}`,
  'x-medplum': 'extended',
  'x-medplum-on-behalf-of': MEMBERSHIP,
};

/** The connection limit of every client that has such an option. */
const CONNECTIONS = 64;

const COUNTS: Readonly<Record<Size, number>> = { '1 KB': 0, '100 KB': 100, '1 MB': 1000 };

const pathOf = (size: Size): string =>
  size === '1 KB' ? `fhir/R4/Patient/${PATIENT_ID}` : `fhir/R4/Patient?_count=${COUNTS[size]}`;

/**
 * Loads a package as the library in `checkout` does: both then use the same copy of Nest. Each subject loads only what
 * it measures, because loading nestjs-cls alone makes every promise cost more before Node 24.
 */
const load = ({ checkout }: Target, name: string): unknown => createRequire(join(checkout, 'package.json'))(name);

const library = (target: Target) => load(target, 'nestjs-medplum') as typeof import('nestjs-medplum');
const nestCore = (target: Target) => load(target, '@nestjs/core') as typeof import('@nestjs/core');

type CallOptions = Parameters<MedplumService['readResource']>[2];

/** Reads one resource for 1 KB, and searches for the other sizes. */
function reading(medplum: MedplumService, options?: CallOptions): Operation {
  return (size) =>
    size === '1 KB'
      ? medplum.readResource('Patient', PATIENT_ID, options)
      : medplum.search('Patient', `_count=${COUNTS[size]}`, options);
}

/** An app with the library in it. */
export async function service(target: Target, more: Partial<MedplumModuleOptions> = {}) {
  const { MedplumAudit, MedplumModule, MedplumService: Service } = library(target);
  const app = await nestCore(target).NestFactory.createApplicationContext(
    MedplumModule.forRoot({ baseUrl: target.baseUrl, clientId: 'client', clientSecret: 'secret', ...more }),
    { logger: ['error', 'warn'] },
  );
  return { app, medplum: app.get(Service), audit: app.get(MedplumAudit) };
}

/** Calls as the fixed identity of `actingAs()`, with module options and call options that differ from the defaults. */
const acting =
  (more?: Partial<MedplumModuleOptions>, options?: CallOptions): Client =>
  async (target) =>
    reading((await service(target, more)).medplum.actingAs(MEMBERSHIP), options);

/** The reads of a handler that needs 20 resources. */
const twentyReads =
  (batchReads: boolean): Client =>
  async (target) => {
    const medplum = (await service(target, { batchReads })).medplum.actingAs(MEMBERSHIP);
    return () => Promise.all(PATIENT_IDS.map((id) => medplum.readResource('Patient', id)));
  };

/** The same, written as a batch by hand. */
const batchByHand: Client = async (target) => {
  const { bundleEntry, entryResults } = library(target);
  const medplum = (await service(target)).medplum.actingAs(MEMBERSHIP);
  return async () => {
    const entry = PATIENT_IDS.map((id) => bundleEntry.read('Patient', id));
    return entryResults(await medplum.executeBatch({ resourceType: 'Bundle', type: 'batch', entry }));
  };
};

function undiciRequest({ baseUrl }: Target): Operation {
  const dispatcher = new Agent({ connections: CONNECTIONS });
  return async (size) => {
    const { body } = await request(baseUrl + pathOf(size), { dispatcher, headers: HEADERS });
    return body.json();
  };
}

/** The layer below `request()`. Nothing that uses undici can be cheaper. */
function undiciDispatch({ baseUrl }: Target): Operation {
  const pool = new Pool(baseUrl, { connections: CONNECTIONS });
  const headers = Object.entries(HEADERS).flat();
  return (size) =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      pool.dispatch(
        { path: `/${pathOf(size)}`, method: 'GET', headers },
        {
          onConnect: () => undefined,
          onHeaders: () => true,
          onData: (chunk) => chunks.push(chunk) > 0,
          onComplete: () => resolve(JSON.parse(Buffer.concat(chunks).toString())),
          onError: reject,
        },
      );
    });
}

/** Calls from a decorated handler. Includes the cost of guard and interceptor, but not of the HTTP server. */
async function inHandler(target: Target, more: Partial<MedplumModuleOptions>): Promise<Operation> {
  const { ModuleRef, Reflector } = nestCore(target);
  const { OnBehalfOf, OnBehalfOfGuard, OnBehalfOfInterceptor } = library(target);
  const { defer, lastValueFrom } = load(target, 'rxjs') as typeof import('rxjs');
  const { app, medplum } = await service(target, more);
  class Charts {}
  OnBehalfOf(MEMBERSHIP)(Charts);
  const handler = reading(medplum);
  const guard = new OnBehalfOfGuard(new Reflector(), app.get(ModuleRef));
  const interceptor = new OnBehalfOfInterceptor(app.get(ModuleRef));
  return async (size) => {
    const args = [{ headers: {} }, new InboundResponse()];
    const context = {
      getType: () => 'http',
      getClass: () => Charts,
      getHandler: () => handler,
      getArgs: () => args,
      getArgByIndex: (index: number) => args[index],
    } as unknown as ExecutionContext;
    await guard.canActivate(context);
    return lastValueFrom(await interceptor.intercept(context, { handle: () => defer(() => handler(size)) }));
  };
}

/** The part of an HTTP response that the interceptor uses. */
class InboundResponse extends EventEmitter {
  getHeader(): undefined {
    return undefined;
  }
  header(): this {
    return this;
  }
}

function addHeader({ headers }: MedplumPreparedRequest): void {
  headers['x-request-id'] = 'bench';
}

/** The same call through the library, each time with one feature. */
export const LIBRARY_CALLS: Readonly<Record<string, Client>> = {
  'nestjs-medplum, actingAs()': acting(),
  'nestjs-medplum, onBehalfOf option': async (target) =>
    reading((await service(target)).medplum, { onBehalfOf: MEMBERSHIP }),
  'nestjs-medplum, ambient scope': async (target) => {
    const { medplum } = await service(target);
    const read = reading(medplum);
    return (size) => medplum.onBehalfOf(MEMBERSHIP, () => read(size));
  },
  'nestjs-medplum, audit listener': async (target) => {
    const { medplum, audit } = await service(target);
    let seen = 0;
    audit.events$.subscribe((event) => (seen += event.attempts.length));
    return reading(medplum.actingAs(MEMBERSHIP));
  },
  'nestjs-medplum, audit events as JSON': async (target) => {
    const { medplum, audit } = await service(target);
    let seen = 0;
    audit.events$.subscribe((event) => (seen += JSON.stringify(event).length));
    return reading(medplum.actingAs(MEMBERSHIP));
  },
  'nestjs-medplum, signal': (target) => acting({}, { signal: new AbortController().signal })(target),
  'nestjs-medplum, headers': acting({}, { headers: { 'x-request-id': 'bench' } }),
  'nestjs-medplum, client credentials': acting({ auth: 'client-credentials' }),
  'nestjs-medplum, undici Agent': (target) => acting({ dispatcher: new Agent({ connections: CONNECTIONS }) })(target),
  'nestjs-medplum, beforeRequest': acting({ beforeRequest: addHeader }),
  'nestjs-medplum, compression': acting({ compression: true }),
  'nestjs-medplum, in a handler': (target) => inHandler(target, {}),
  'nestjs-medplum, in a handler, abortOnDisconnect': (target) => inHandler(target, { abortOnDisconnect: true }),
};

/** A read that is alone in its tick. */
export const LONE_READ: Readonly<Record<string, Client>> = {
  'a lone read': acting(),
  'a lone read, batchReads': acting({ batchReads: true }),
};

/** 20 reads of 1 KB each, at the same time. */
export const TWENTY_READS: Readonly<Record<string, Client>> = {
  '20 reads, as a batch by hand': batchByHand,
  '20 reads, batchReads': twentyReads(true),
  '20 reads, one by one': twentyReads(false),
};

/** Every subject by name. The ratios in the tables are to the first one. */
export const CLIENTS: Readonly<Record<string, Client>> = {
  'undici request()': undiciRequest,
  'undici request(), nestjs-cls loaded': (target) => {
    load(target, 'nestjs-cls');
    return undiciRequest(target);
  },
  'undici dispatch()': undiciDispatch,
  ...LIBRARY_CALLS,
  MedplumClient: async ({ baseUrl }) => {
    // @medplum/core reads the global WebSocket when it loads, and Node 20 has none.
    Reflect.set(globalThis, 'WebSocket', WebSocket);
    const { MedplumClient } = await import('@medplum/core');
    const medplum = new MedplumClient({ baseUrl, fetch, cacheTime: 0, autoBatchTime: 0 });
    medplum.setBasicAuth('client', 'secret');
    const headers = { 'x-medplum-on-behalf-of': MEMBERSHIP };
    return (size) =>
      size === '1 KB'
        ? medplum.readResource('Patient', PATIENT_ID, { headers })
        : medplum.search('Patient', `_count=${COUNTS[size]}`, { headers });
  },
  fetch:
    ({ baseUrl }) =>
    async (size) =>
      (await fetch(baseUrl + pathOf(size), { headers: HEADERS })).json(),
  axios: async ({ baseUrl }) => {
    const { default: axios } = await import('axios');
    return async (size) => (await axios.get<unknown>(baseUrl + pathOf(size), { headers: HEADERS })).data;
  },
};
