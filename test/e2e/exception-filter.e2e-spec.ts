import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import {
  type ArgumentsHost,
  Catch,
  Controller,
  Get,
  type INestApplication,
  Param,
  Patch,
  Put,
  Res,
} from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import express from 'express';
import {
  AsClientApplication,
  MedplumError,
  type MedplumExceptionAnswer,
  MedplumExceptionFilter,
  MedplumModule,
  MedplumService,
  OnBehalfOf,
} from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { closeAll } from '../support/close-all';
import { listen, PLATFORMS } from '../support/platforms';
import { outcome, type WireAnswer, WireServer } from '../support/wire-server';

@Controller('charts')
@OnBehalfOf('ProjectMembership/a')
class ChartsController {
  constructor(private readonly medplum: MedplumService) {}

  @Get('late')
  async late(@Res() response: { raw?: NodeJS.WritableStream } & NodeJS.WritableStream) {
    const raw = response.raw ?? response;
    raw.write('begun');
    await this.medplum.readResource('Patient', '1');
  }

  @Get('as-client')
  @AsClientApplication()
  asClient() {
    return this.medplum.readResource('Patient', '1');
  }

  @Get('cached/:id')
  cached(@Param('id') id: string) {
    return this.medplum.readResource('Patient', id, { headers: { 'if-none-match': 'W/"7"' } });
  }

  @Get('slow/:id')
  slow(@Param('id') id: string) {
    return this.medplum.readResource('Patient', id, { timeout: 300 });
  }

  @Get(':id')
  read(@Param('id') id: string) {
    return this.medplum.readResource('Patient', id);
  }

  @Patch(':id')
  patch(@Param('id') id: string) {
    return this.medplum.patchResource('Patient', id, [{ op: 'remove', path: '/name' }]);
  }

  @Put(':id')
  update(@Param('id') id: string) {
    return this.medplum.updateResource({ resourceType: 'Patient', id, meta: { versionId: '7' } });
  }
}

const PHI = 'Homer Simpson 555-7334';
const refused = (status: number, id: string, code: string, tracing = true): WireAnswer => ({
  status,
  body: outcome(id, code, PHI, tracing),
});

describe.each(PLATFORMS)('MedplumExceptionFilter on %s', (platform) => {
  let wire: WireServer;
  let app: INestApplication;
  let url: string;
  let log: CapturedLog;

  beforeAll(async () => {
    wire = await WireServer.start();
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(wire.options({ retry: { maxRetries: 0 } }))],
      controllers: [ChartsController],
    }).compile();
    ({ app, url } = await listen(module, platform));
  });

  afterAll(async () => {
    await closeAll(app, wire);
  });

  beforeEach(() => {
    log = captureLog();
  });

  afterEach(() => {
    log.restore();
  });

  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${url}/${path}`, init);
    const text = await response.text();
    expect(text).not.toContain('Homer');
    return { status: response.status, headers: response.headers, body: JSON.parse(text) as Record<string, unknown> };
  };

  const CASES: [string, string, WireAnswer, number, path?: string][] = [
    ['not found', 'GET', refused(404, 'not-found', 'not-found'), 404],
    ['forbidden', 'GET', refused(403, 'forbidden', 'forbidden'), 403],
    ['a refused identity that looks like 404', 'GET', refused(404, 'not-found', 'not-found', false), 403],
    ['a refused identity that looks like 410', 'GET', refused(410, 'gone', 'deleted', false), 403],
    [
      'a refused identity of a newer server',
      'GET',
      { status: 400, body: outcome('x', 'invalid', 'Authentication error') },
      403,
    ],
    ['gone', 'GET', refused(410, 'gone', 'deleted'), 410],
    ['conflict', 'PUT', refused(409, 'conflict', 'conflict'), 409],
    ['version conflict', 'PUT', refused(412, 'precondition-failed', 'processing'), 412],
    ['invalid', 'PUT', refused(400, 'invalid', 'invalid'), 400],
    ['unprocessable', 'PUT', refused(422, 'invalid', 'invalid'), 422],
    [
      'a forbidden PATCH, because 403 would reveal that the resource exists',
      'PATCH',
      refused(403, 'forbidden', 'forbidden'),
      404,
    ],
    ['upstream down', 'GET', { status: 500, body: { msg: PHI } }, 502],
    [
      'a proxy without upstream',
      'GET',
      { status: 503, body: `<html>${PHI}`, headers: { 'content-type': 'text/html' } },
      502,
    ],
    ['a reset connection', 'GET', { destroy: true }, 502],
    ['no JSON', 'GET', { body: PHI }, 502],
    ['a redirect', 'GET', { status: 302, headers: { location: 'https://evil.example/' } }, 502],
    ['no answer in time', 'GET', { delay: 2000 }, 504, 'charts/slow/1'],
    ["the client's own bad credentials", 'GET', refused(401, 'unauthorized', 'login'), 500],
  ];

  it.each(CASES)('answers for %s', async (_what, method, answer, status, path = 'charts/1') => {
    wire.handler = () => answer;
    const { status: answered, body } = await ask(path, { method });
    expect([answered, body['statusCode']]).toEqual([status, status]);
    expect(typeof body['message']).toBe('string');
  });

  it.each(CASES)(
    'answers callers of FHIR with an OperationOutcome for %s',
    async (_what, method, answer, status, path = 'charts/1') => {
      wire.handler = () => answer;
      const headers = { accept: 'application/fhir+json, */*;q=0.1' };
      const { status: answered, headers: answeredHeaders, body } = await ask(path, { method, headers });
      expect(answered).toBe(status);
      expect(answeredHeaders.get('content-type')).toBe('application/fhir+json; charset=utf-8');
      expect(body).toMatchObject({ resourceType: 'OperationOutcome', issue: [{ severity: 'error' }] });
    },
  );

  it('answers 304 without a body when the resource has not changed', async () => {
    wire.handler = () => ({ status: 304 });
    const response = await fetch(`${url}/charts/cached/1`);
    expect([response.status, await response.text()]).toEqual([304, '']);
  });

  it('answers 503 with Retry-After when the quota of the client is used up', async () => {
    wire.handler = () => ({
      status: 429,
      headers: { ratelimit: ['"requests";r=59975;t=9', '"fhirInteractions";r=0;t=42'] },
      body: outcome('too-many-requests', 'throttled', PHI),
    });
    const { status, headers } = await ask('charts/1');
    expect([status, headers.get('retry-after')]).toEqual([503, '42']);
  });

  it('answers 400 for a malformed id, with nothing sent', async () => {
    wire.requests.length = 0;
    expect((await ask('charts/a%20b')).status).toBe(400);
    expect(wire.requests).toEqual([]);
  });

  it('says nothing about what only the client itself may see', async () => {
    for (const answer of [
      refused(404, 'not-found', 'not-found'),
      refused(403, 'forbidden', 'forbidden'),
      refused(410, 'gone', 'deleted'),
    ]) {
      wire.handler = () => answer;
      expect((await ask('charts/as-client')).status).toBe(500);
    }
  });

  it('logs the route and the fix when the app has to be mended', async () => {
    wire.handler = () => refused(401, 'unauthorized', 'login');
    await ask('charts/42');
    const logged = log.text('error');
    expect(logged).toContain('in GET /charts/:id: ');
    expect(logged).toContain('check clientId and clientSecret');
    expect(logged).not.toMatch(/42|Homer|secret-1/);
  });

  it('ends a response that has begun', async () => {
    wire.handler = () => refused(404, 'not-found', 'not-found');
    const response = await fetch(`${url}/charts/late`);
    expect([response.status, await response.text()]).toEqual([200, 'begun']);
  });
});

/** Changes what an app may change: the answer for some statuses, and the log line. */
@Catch(MedplumError)
class ChartsExceptionFilter extends MedplumExceptionFilter {
  readonly lines: string[] = [];

  protected override answer(error: MedplumError, host: ArgumentsHost): MedplumExceptionAnswer {
    const answer = super.answer(error, host);
    const { method } = host.switchToHttp().getRequest<{ method: string }>();
    if (answer.status === 404) {
      return { ...answer, status: 410, error: 'Gone', text: `This chart is closed to ${method}.`, issue: 'deleted' };
    }
    return answer.status === 502 ? { ...answer, status: 503, retryAfter: 1_500 } : answer;
  }

  protected override log(error: MedplumError, answer: MedplumExceptionAnswer, place: string): void {
    this.lines.push(`${answer.status} ${error.code} ${place}`);
  }
}

describe.each(PLATFORMS)('A subclass of MedplumExceptionFilter on %s', (platform) => {
  let wire: WireServer;
  let app: INestApplication;
  let url: string;
  let log: CapturedLog;
  let filter: ChartsExceptionFilter;

  beforeAll(async () => {
    wire = await WireServer.start();
    const options = wire.options({ retry: { maxRetries: 0 } });
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot({ ...options, exceptionFilter: false })],
      controllers: [ChartsController],
      providers: [ChartsExceptionFilter, { provide: APP_FILTER, useExisting: ChartsExceptionFilter }],
    }).compile();
    filter = module.get(ChartsExceptionFilter);
    ({ app, url } = await listen(module, platform));
  });

  afterAll(async () => {
    await closeAll(app, wire);
  });

  beforeEach(() => {
    filter.lines.length = 0;
    log = captureLog();
  });

  afterEach(() => {
    log.restore();
  });

  it('answers with its own status and text, and logs nothing for a status below 500', async () => {
    wire.handler = () => refused(404, 'not-found', 'not-found');
    const response = await fetch(`${url}/charts/1`);
    expect([response.status, await response.json()]).toEqual([
      410,
      { statusCode: 410, error: 'Gone', message: 'This chart is closed to GET.' },
    ]);
    expect(filter.lines).toEqual([]);
    // The line of the client, not of the filter.
    expect(log.given).toEqual([expect.stringMatching(/^GET \/fhir\/R4\/Patient\/{id} was answered with 404 /)]);
  });

  it('answers callers of FHIR with its own text and issue', async () => {
    wire.handler = () => refused(404, 'not-found', 'not-found');
    const response = await fetch(`${url}/charts/1`, { headers: { accept: 'application/fhir+json' } });
    expect([response.status, await response.json()]).toEqual([
      410,
      {
        resourceType: 'OperationOutcome',
        issue: [{ severity: 'error', code: 'deleted', details: { text: 'This chart is closed to GET.' } }],
      },
    ]);
  });

  it('logs its own line instead of that of the library, with its own status', async () => {
    wire.handler = () => ({ destroy: true });
    const response = await fetch(`${url}/charts/42`);
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '2']);
    expect(filter.lines).toEqual([expect.stringMatching(/^503 MEDPLUM_CONNECTION GET \/charts\/:id\b/)]);
    expect(log.text('warn') + log.text('error')).toBe('');
  });

  it('keeps what it does not change', async () => {
    wire.handler = () => refused(403, 'forbidden', 'forbidden');
    const response = await fetch(`${url}/charts/1`);
    expect([response.status, await response.json()]).toEqual([
      403,
      { statusCode: 403, error: 'Forbidden', message: 'You may not do this.' },
    ]);
  });
});

it('does not log where the app is mounted, which may be below the id of a patient', async () => {
  const wire = await WireServer.start(() => refused(401, 'unauthorized', 'login'));
  const log = captureLog();
  const module = await Test.createTestingModule({
    imports: [MedplumModule.forRoot(wire.options())],
    controllers: [ChartsController],
  }).compile();
  const inner = express();
  const app = await module.createNestApplication(new ExpressAdapter(inner)).init();
  const outer = express().use('/patients/:patient', inner).listen(0, '127.0.0.1');
  await once(outer, 'listening');
  const { port } = outer.address() as AddressInfo;
  const { status } = await fetch(`http://127.0.0.1:${port}/patients/homer-42/charts/1`);
  expect([status, log.text('error')]).toEqual([500, expect.stringContaining('in GET /charts/:id: ')]);
  expect(log.text('error')).not.toContain('homer');
  outer.closeAllConnections();
  outer.close();
  await closeAll(app, wire);
  log.restore();
});

it('is left out with exceptionFilter: false', async () => {
  const wire = await WireServer.start(() => refused(404, 'not-found', 'not-found'));
  const log = captureLog();
  const module = await Test.createTestingModule({
    imports: [MedplumModule.forRoot({ ...wire.options(), exceptionFilter: false })],
    controllers: [ChartsController],
  }).compile();
  const { app, url } = await listen(module, 'express');
  expect((await fetch(`${url}/charts/1`)).status).toBe(500);
  await app.close();
  await wire.close();
  log.restore();
});
