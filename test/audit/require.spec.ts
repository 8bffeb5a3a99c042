import { AsyncResource } from 'node:async_hooks';
import { Controller, Get, Logger, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  AuditRecordRefusedError,
  AuditSinkError,
  MedplumAudit,
  type MedplumAuditOptions,
  MedplumModule,
  MedplumNotFoundError,
  MedplumService,
} from 'nestjs-medplum';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { MemorySink } from '../support/memory-sink';
import { until } from '../support/until';
import { listen } from '../support/platforms';
import { FAULTS } from '../support/wire-faults';

const onBehalfOf = 'm-1';
const nothing = (): void => undefined;
let sink: MemorySink;
let app: MedplumApp;
let warn: jest.SpyInstance;

async function start(audit: MedplumAuditOptions = {}): Promise<void> {
  sink = new MemorySink();
  app = await startMedplumApp({
    audit: { mode: 'require', sinks: [sink], writeTimeout: 1_000, flushTimeout: 50, ...audit },
    retry: { maxRetries: 0 },
  });
}

beforeEach(async () => {
  warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  await start();
});
afterEach(async () => {
  await app.close();
  warn.mockRestore();
});

const read = () => app.medplum.readResource('Patient', '1', { onBehalfOf });
const create = () => app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf });
const outcomes = () => sink.events.map(({ outcome }) => outcome);
/** The error of a call that fails. */
const errorOf = (call: Promise<unknown>) =>
  call.then(
    () => {
      throw new Error('It did not fail.');
    },
    (error: unknown) => error,
  );

describe("With audit.mode 'require' a write", () => {
  it('is sent after its intent is accepted, and returns after its outcome is accepted', async () => {
    app.wire.handler = () => {
      expect(outcomes()).toEqual(['pending']);
      return { status: 201, body: { resourceType: 'Patient', id: 'homer' } };
    };
    await create();
    const [intent, outcome] = sink.events;
    expect(intent).toMatchObject({ outcome: 'pending', effect: 'unknown', attempts: [], action: 'create', seq: 1 });
    expect(outcome).toMatchObject({
      id: intent?.id,
      outcome: 'success',
      effect: 'happened',
      seq: 2,
      resourceId: 'homer',
    });
    expect(app.events).toEqual([outcome]);
  });

  it('is not sent when its intent is not accepted', async () => {
    sink.isDown = true;
    const error = await errorOf(create());
    expect(error).toBeInstanceOf(AuditSinkError);
    expect(error).toMatchObject({ code: 'MEDPLUM_AUDIT_SINK', effect: 'none', result: undefined });
    expect(app.wire.requests).toEqual([]);
    expect(app.events).toMatchObject([{ outcome: 'refused', attempts: [], error: { code: 'MEDPLUM_AUDIT_SINK' } }]);
  });

  it('that was done reports that, with its result, when its outcome is not accepted', async () => {
    app.wire.handler = () => {
      sink.isDown = true;
      return { status: 201, body: { resourceType: 'Patient', id: 'homer' } };
    };
    const error = (await errorOf(create())) as AuditSinkError;
    expect(error).toBeInstanceOf(AuditSinkError);
    expect(error).toMatchObject({ effect: 'happened', retryable: false });
    expect(error.result).toEqual({ resourceType: 'Patient', id: 'homer' });
    expect(JSON.stringify(error) + error.message).not.toMatch(/homer|Simpson/i);
    expect(outcomes()).toEqual(['pending']);
  });

  it('that failed is recorded as failed, and its error says both when that record is not accepted', async () => {
    app.wire.handler = FAULTS['500'];
    await expect(create()).rejects.toMatchObject({ code: 'MEDPLUM_SERVER' });
    expect(outcomes()).toEqual(['pending', 'error']);
    app.wire.handler = (request, response) => {
      sink.isDown = true;
      return FAULTS['500'](request, response);
    };
    const error = (await errorOf(create())) as AuditSinkError;
    expect(error).toMatchObject({ code: 'MEDPLUM_AUDIT_SINK', effect: 'unknown', retryable: false });
    expect(error.callError).toMatchObject({ code: 'MEDPLUM_SERVER' });
  });

  it('waits for every sink, but for none longer than writeTimeout', async () => {
    await app.close();
    const hanging = new MemorySink('Hanging');
    hanging.gate = new Promise(() => undefined);
    await start({ writeTimeout: 20 });
    app.module.get(MedplumAudit).addSink(hanging);
    await expect(create()).rejects.toMatchObject({ code: 'MEDPLUM_AUDIT_SINK', effect: 'none' });
    expect(outcomes()).toEqual(['pending']);
    expect(app.wire.requests).toEqual([]);
  });

  it('fails at once when its intent is refused for good, and the next one is not held up', async () => {
    sink.onWrite = (batch) => {
      throw new AuditRecordRefusedError(batch, Object.assign(new Error('taint'), { code: 'HTTP_400' }));
    };
    const error = (await errorOf(create())) as AuditSinkError;
    expect(error).toBeInstanceOf(AuditSinkError);
    expect(error).toMatchObject({ effect: 'none', retryable: false, cause: { code: 'HTTP_400' } });
    expect(error.message).toContain('A sink refused the record for good.');
    sink.onWrite = () => undefined;
    await create();
    expect(outcomes()).toEqual(['refused', 'pending', 'success']);
  });

  it('works again as soon as the sink does', async () => {
    sink.isDown = true;
    await errorOf(create());
    sink.isDown = false;
    await create();
    expect(outcomes()).toEqual(['pending', 'refused', 'pending', 'success']);
  });
});

describe("With audit.mode 'require' a read", () => {
  it('returns after its outcome is accepted, and has no intent', async () => {
    let release: () => void = nothing;
    sink.gate = new Promise<void>((resolve) => (release = resolve));
    let returned = false;
    const call = read().then(() => (returned = true));
    await until(() => app.events.length === 1);
    expect(returned).toBe(false);
    release();
    await call;
    expect(outcomes()).toEqual(['success']);
  });

  it('returns nothing when its outcome is not accepted', async () => {
    sink.isDown = true;
    const error = (await errorOf(read())) as AuditSinkError;
    expect(error).toMatchObject({ code: 'MEDPLUM_AUDIT_SINK', effect: 'none', retryable: false, result: undefined });
  });

  it('that failed rejects with its own error', async () => {
    app.wire.handler = FAULTS['no JSON'];
    await expect(read()).rejects.toMatchObject({ code: 'MEDPLUM_PROTOCOL' });
    app.wire.handler = () => ({ status: 404 });
    await expect(read()).rejects.toBeInstanceOf(MedplumNotFoundError);
    await expect(app.medplum.readResource('Patient', '1')).rejects.toMatchObject({
      code: 'MEDPLUM_ON_BEHALF_OF_REQUIRED',
    });
    expect(outcomes()).toEqual(['error', 'error', 'refused']);
  });

  it('delivers a download only after its outcome is accepted, and closes it otherwise', async () => {
    app.wire.handler = () => ({ headers: { 'content-type': 'text/plain' }, body: 'content' });
    const { stream } = await app.medplum.binaries.download('1', { onBehalfOf });
    expect(outcomes()).toEqual(['success']);
    expect(Buffer.concat((await stream.toArray()) as Buffer[]).toString()).toBe('content');
    expect(app.events).toHaveLength(1);

    sink.isDown = true;
    const error = await errorOf(app.medplum.binaries.download('1', { onBehalfOf }));
    expect(error).toMatchObject({ code: 'MEDPLUM_AUDIT_SINK', effect: 'none', result: undefined });
    expect(app.events).toHaveLength(2);
  });

  it('delivers each page of a search only after its outcome is accepted', async () => {
    app.wire.handler = () => ({ body: { resourceType: 'Bundle', entry: [{ resource: { resourceType: 'Patient' } }] } });
    const pages = app.medplum.searchResourcePages('Patient', {}, { onBehalfOf });
    expect(outcomes()).toEqual([]);
    await pages.next();
    expect(outcomes()).toEqual(['success']);
  });
});

describe("With audit.mode 'require'", () => {
  it('calls fail when there is no sink', async () => {
    await app.close();
    await start({ sinks: [] });
    await expect(read()).rejects.toMatchObject({ code: 'MEDPLUM_AUDIT_SINK' });
    await expect(create()).rejects.toMatchObject({ code: 'MEDPLUM_AUDIT_SINK' });
    expect(app.wire.requests).toHaveLength(1);
  });

  it('the calls of a sink need no record', async () => {
    sink.onWrite = () => app.medplum.createResource({ resourceType: 'AuditEvent' } as never, { onBehalfOf });
    await read();
    expect(outcomes()).toEqual(['success']);
    expect(app.wire.requests).toHaveLength(2);
  });

  it('a call of a handler whose connection a sink opened needs a record', async () => {
    let connection: AsyncResource | undefined;
    sink.onWrite = () => (connection ??= new AsyncResource('SharedConnection'));
    await read();
    sink.isDown = true;
    await expect(connection?.runInAsyncScope(create)).rejects.toMatchObject({ code: 'MEDPLUM_AUDIT_SINK' });
    expect(app.wire.requests).toHaveLength(1);
  });

  it('the app responds with 500, and never suggests a retry to the user', async () => {
    @Controller()
    class Clinic {
      constructor(private readonly medplum: MedplumService) {}

      @Get()
      create(): Promise<unknown> {
        return this.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf });
      }
    }
    @Module({ controllers: [Clinic] })
    class ClinicModule {}
    const error = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    sink.isDown = true;
    const options = app.wire.options({ audit: { mode: 'require' as const, sinks: [sink], flushTimeout: 20 } });
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(options), ClinicModule],
    }).compile();
    const { app: http, url } = await listen(module, 'express');
    try {
      const response = await fetch(url);
      expect(response.status).toBe(500);
      expect(response.headers.has('retry-after')).toBe(false);
    } finally {
      await http.close();
      error.mockRestore();
    }
  });
});

describe('The audit options', () => {
  it.each<readonly [string, object, RegExp]>([
    ['an unknown mode', { mode: 'strict' }, /audit is wrong: mode must be 'observe' or 'require'/],
    ['something that is not a sink', { sinks: [{}] }, /audit is wrong: sinks must be/],
    ['a queue without room', { maxQueued: 0 }, /audit is wrong: maxQueued/],
    ['a misspelt option', { onfull: 'drop' }, /onfull is not an option/],
  ])('are refused at start-up: %s', async (_case, audit, message) => {
    await expect(startMedplumApp({ audit })).rejects.toThrow(message);
  });
});
