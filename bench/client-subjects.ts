import { EventEmitter } from 'node:events';
import type { ExecutionContext } from '@nestjs/common';
import { defer, lastValueFrom } from 'rxjs';
import { Agent, Pool, request, WebSocket } from 'undici';
import type { MedplumModuleOptions, MedplumPreparedRequest, MedplumService } from 'nestjs-medplum';
import type { Size } from './bench.types';

/** One operation for an answer of each size. */
export type Operation = (size: Size) => Promise<unknown>;

const MEMBERSHIP = 'ProjectMembership/00000000-0000-4000-8000-00000000000a';
const ID = '00000000-0000-4000-8000-000000000003';
const HEADERS = {
  accept: 'application/fhir+json',
  authorization: `Basic ${Buffer.from('client:secret').toString('base64')}`,
  'x-medplum': 'extended',
  'x-medplum-on-behalf-of': MEMBERSHIP,
};

/** Connections at most, for all who can say so. */
const CONNECTIONS = 64;

const COUNTS: Readonly<Record<Size, number>> = { '1 KB': 0, '100 KB': 100, '1 MB': 1000 };

const pathOf = (size: Size): string =>
  size === '1 KB' ? `fhir/R4/Patient/${ID}` : `fhir/R4/Patient?_count=${COUNTS[size]}`;

type Options = Parameters<MedplumService['readResource']>[2];

/** What our read and search cost: `1 KB` reads a resource, the others search. */
function ours(medplum: MedplumService, options?: Options): Operation {
  return (size) =>
    size === '1 KB'
      ? medplum.readResource('Patient', ID, options)
      : medplum.search('Patient', `_count=${COUNTS[size]}`, options);
}

/** The service, as an app gets it. What others do not need is loaded here: nestjs-cls alone makes promises dearer. */
export async function service(baseUrl: string, more: Partial<MedplumModuleOptions> = {}) {
  const { NestFactory } = await import('@nestjs/core');
  const { MedplumAudit, MedplumModule, MedplumService: Service } = await import('nestjs-medplum');
  const app = await NestFactory.createApplicationContext(
    MedplumModule.forRoot({ baseUrl, clientId: 'client', clientSecret: 'secret', ...more }),
    { logger: ['error', 'warn'] },
  );
  return { app, medplum: app.get(Service), audit: app.get(MedplumAudit) };
}

function rawUndici(baseUrl: string): Operation {
  const dispatcher = new Agent({ connections: CONNECTIONS });
  return async (size) => {
    const { body } = await request(baseUrl + pathOf(size), { dispatcher, headers: HEADERS });
    return body.json();
  };
}

/** The layer below `request()`: what nobody who uses undici gets below. */
function rawDispatch(baseUrl: string): Operation {
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

/** Calls that a decorated handler makes: what guard and interceptor do is measured as well. */
async function inHandler(baseUrl: string, more: Partial<MedplumModuleOptions>): Promise<Operation> {
  const { ModuleRef, Reflector } = await import('@nestjs/core');
  const { OnBehalfOf, OnBehalfOfGuard, OnBehalfOfInterceptor } = await import('nestjs-medplum');
  const { app, medplum } = await service(baseUrl, more);
  class Charts {}
  OnBehalfOf(MEMBERSHIP)(Charts);
  const handler = ours(medplum);
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
    const answer = await interceptor.intercept(context, { handle: () => defer(() => handler(size)) });
    return lastValueFrom(answer);
  };
}

/** As much of a response as the interceptor looks at. */
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

/** Subjects by name. The first is the limit. */
export const CLIENTS: Readonly<Record<string, (baseUrl: string) => Operation | Promise<Operation>>> = {
  'undici request': rawUndici,
  'undici request, nestjs-cls loaded': async (baseUrl) => {
    await import('nestjs-cls');
    return rawUndici(baseUrl);
  },
  'undici dispatch': rawDispatch,
  'ours, actingAs()': async (baseUrl) => ours((await service(baseUrl)).medplum.actingAs(MEMBERSHIP)),
  'ours, per call': async (baseUrl) => ours((await service(baseUrl)).medplum, { onBehalfOf: MEMBERSHIP }),
  'ours, ambient scope': async (baseUrl) => {
    const { medplum } = await service(baseUrl);
    const read = ours(medplum);
    return (size) => medplum.onBehalfOf(MEMBERSHIP, () => read(size));
  },
  'ours, audited': async (baseUrl) => {
    const { medplum, audit } = await service(baseUrl);
    let seen = 0;
    audit.events$.subscribe((event) => (seen += event.attempts.length));
    return ours(medplum.actingAs(MEMBERSHIP));
  },
  'ours, audited as JSON': async (baseUrl) => {
    const { medplum, audit } = await service(baseUrl);
    let seen = 0;
    audit.events$.subscribe((event) => (seen += JSON.stringify(event).length));
    return ours(medplum.actingAs(MEMBERSHIP));
  },
  'ours, with signal': async (baseUrl) => {
    const { signal } = new AbortController();
    return ours((await service(baseUrl)).medplum.actingAs(MEMBERSHIP), { signal });
  },
  'ours, with headers': async (baseUrl) =>
    ours((await service(baseUrl)).medplum.actingAs(MEMBERSHIP), { headers: { 'x-request-id': 'bench' } }),
  'ours, client credentials': async (baseUrl) =>
    ours((await service(baseUrl, { auth: 'client-credentials' })).medplum.actingAs(MEMBERSHIP)),
  'ours, undici Agent': async (baseUrl) => {
    const dispatcher = new Agent({ connections: CONNECTIONS });
    return ours((await service(baseUrl, { dispatcher })).medplum.actingAs(MEMBERSHIP));
  },
  'ours, beforeRequest': async (baseUrl) => {
    return ours((await service(baseUrl, { beforeRequest: addHeader })).medplum.actingAs(MEMBERSHIP));
  },
  'ours, compression': async (baseUrl) =>
    ours((await service(baseUrl, { compression: true })).medplum.actingAs(MEMBERSHIP)),
  'ours, in a handler': (baseUrl) => inHandler(baseUrl, {}),
  'ours, in a handler, abortOnDisconnect': (baseUrl) => inHandler(baseUrl, { abortOnDisconnect: true }),
  MedplumClient: async (baseUrl) => {
    // It reads the global when it loads, and Node 20 has none.
    Reflect.set(globalThis, 'WebSocket', WebSocket);
    const { MedplumClient } = await import('@medplum/core');
    const medplum = new MedplumClient({ baseUrl, fetch, cacheTime: 0, autoBatchTime: 0 });
    medplum.setBasicAuth('client', 'secret');
    const headers = { 'x-medplum-on-behalf-of': MEMBERSHIP };
    return (size) =>
      size === '1 KB'
        ? medplum.readResource('Patient', ID, { headers })
        : medplum.search('Patient', `_count=${COUNTS[size]}`, { headers });
  },
  fetch: (baseUrl) => async (size) => (await fetch(baseUrl + pathOf(size), { headers: HEADERS })).json(),
  axios: async (baseUrl) => {
    const { default: axios } = await import('axios');
    return async (size) => (await axios.get<unknown>(baseUrl + pathOf(size), { headers: HEADERS })).data;
  },
};
