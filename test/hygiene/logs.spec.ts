import { Controller, Get, Injectable } from '@nestjs/common';
import { map } from 'rxjs';
import { MedplumAudit, type MedplumAuditSink, OnBehalfOf } from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { MemorySink } from '../support/memory-sink';
import { until } from '../support/until';
import { leaksOf, PLANTED, taintedError } from '../support/planted';
import { startTaintedApp } from '../support/tainted-app';
import { read, throwing, update } from './mishaps/mishap';

let log: CapturedLog;

beforeEach(() => (log = captureLog()));
afterEach(() => log.restore());

const nothing = (): void => undefined;

/** A sink that rejects every batch and also fails to close. */
const refusing = (name: string): MedplumAuditSink => ({
  name,
  write: () => Promise.reject(taintedError()),
  close: () => Promise.reject(taintedError()),
});

@Controller()
@Injectable()
class Decorated {
  @Get()
  @OnBehalfOf()
  read(): void {}
}

/** Returns the expected lines that are missing in the log, and everything planted that the log shows. */
function wrongIn(...lines: readonly RegExp[]): readonly string[] {
  const logged = log.given.join('\n');
  return [...lines.filter((line) => !line.test(logged)).map(String), ...leaksOf(log.given)];
}

describe('the log shows nothing planted', () => {
  it('when the app starts with settings that cause warnings', async () => {
    const settings = { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_DEBUG: `undici,${PLANTED.clientSecret}` };
    const replaced = jest.replaceProperty(process, 'env', { ...process.env, ...settings });
    const app = await startTaintedApp(
      { defaultOnBehalfOf: PLANTED.membership, resolveOnBehalfOf: throwing, requireOnBehalfOf: false },
      undefined,
      { controllers: [Decorated] },
    ).finally(() => replaced.restore());
    await app.close();
    expect(wrongIn(/NODE_TLS_REJECT_UNAUTHORIZED/, /NODE_DEBUG/, /defaultOnBehalfOf/)).toEqual([]);
  });

  it('when a call without an identity is allowed', async () => {
    const app = await startTaintedApp({ requireOnBehalfOf: false });
    await app.medplum.searchResources('Patient', { name: PLANTED.query });
    await app.close();
    expect(wrongIn(/runs with the rights of a project admin/)).toEqual([]);
  });

  it('when sinks fail and lose events', async () => {
    const full = new MemorySink('Full');
    full.isDown = true;
    const app = await startTaintedApp({
      audit: { sinks: [refusing('Refusing'), full], maxQueued: 2, flushTimeout: 1, onFull: refusing('Spill') },
    });
    await Promise.allSettled(Array.from({ length: 5 }, () => read(app.medplum)));
    await until(() => app.module.get(MedplumAudit).sinkStats.some(({ failures }) => failures > 1));
    full.isDown = false;
    await app.close();
    expect(
      wrongIn(
        /Refusing failed: Error/,
        /Full failed: TypeError/,
        /queue is full/,
        /audit events are lost: /,
        /The audit sink \w+ failed to close: /,
      ),
    ).toEqual([]);
    expect(leaksOf(app.module.get(MedplumAudit).sinkStats)).toEqual([]);
  });

  it.each<readonly [string, () => unknown]>([
    ['an error', throwing],
    [
      'a text',
      () => {
        // oxlint-disable-next-line typescript/only-throw-error -- a listener may throw anything
        throw PLANTED.thrown;
      },
    ],
    ['in a promise', () => Promise.reject(taintedError())],
  ])('when a listener throws %s and the audit context throws', async (_what, listen) => {
    const app = await startTaintedApp({ auditContext: throwing });
    const { events$ } = app.module.get(MedplumAudit);
    events$.subscribe(listen);
    events$.pipe(map(throwing)).subscribe({ next: nothing });
    await read(app.medplum);
    await app.close();
    expect(wrongIn(/A listener of MedplumAudit.events\$ failed: /, /The auditContext function failed: Error/)).toEqual(
      [],
    );
  });

  it('when the app shuts down during calls', async () => {
    const app = await startTaintedApp({ shutdownTimeout: 1, audit: { sinks: [refusing('Sink')], flushTimeout: 1 } });
    const arrived = new Promise<void>((resolve) => {
      app.wire.handler = () => {
        resolve();
        return undefined;
      };
    });
    const calls = [read(app.medplum), update(app.medplum)].map((call) => call.catch((error: unknown) => error));
    await arrived;
    await app.close();
    expect(leaksOf(await Promise.all(calls))).toEqual([]);
    expect(wrongIn(/audit events are lost: the sink Sink did not take them/)).toEqual([]);
  });
});
