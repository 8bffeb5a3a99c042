import { AsyncLocalStorage } from 'node:async_hooks';
import { Controller, Get } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import * as fc from 'fast-check';
import {
  AsClientApplication,
  AuditSinkError,
  isMedplumError,
  MedplumAudit,
  type MedplumBreakGlassAlert,
  MedplumModule,
  type MedplumModuleOptions,
  MedplumService,
  OnBehalfOf,
  OnBehalfOfRequiredError,
  type RequestEvent,
  toFhirAuditEvent,
} from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { failureOf } from '../support/failure-of';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { listen } from '../support/platforms';
import { MemorySink } from '../support/memory-sink';
import { until } from '../support/until';
import { resourceAsked, type WireRequest } from '../support/wire-server';

const NURSE = 'ProjectMembership/nurse';
const EMERGENCY = 'ProjectMembership/emergency';
const REQUEST = { reason: 'Unconscious, allergies unknown', expiresIn: 60_000 };

const actions = (events: readonly RequestEvent[]): string[] => events.map(({ action }) => action);

/** Sets the monotonic clock forward, by ms. */
const later = (ms: number): void => {
  const now = performance.now();
  jest.spyOn(performance, 'now').mockImplementation(() => now + ms);
};

describe('breakGlass()', () => {
  let app: MedplumApp;
  let sink: MemorySink;
  let alerts: MedplumBreakGlassAlert[];
  let log: CapturedLog;

  async function start(options: Partial<MedplumModuleOptions> = {}): Promise<void> {
    app = await startMedplumApp({
      audit: { sinks: [sink] },
      breakGlass: { onBehalfOf: EMERGENCY, alert: (alert) => void alerts.push(alert) },
      ...options,
    });
  }

  /** The identities that the server saw. */
  const seen = (): (string | undefined)[] => app.wire.requests.map(({ onBehalfOf }) => onBehalfOf);

  beforeEach(() => {
    log = captureLog();
    sink = new MemorySink();
    alerts = [];
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    log.restore();
    await app.close();
  });

  it('acts as the membership for emergencies, and as the user again after that', async () => {
    await start();
    const result = await app.medplum.onBehalfOf(NURSE, async () => {
      await app.medplum.readResource('Patient', '1');
      const found = await app.medplum.breakGlass(REQUEST, () => app.medplum.readResource('Patient', '2'));
      await app.medplum.readResource('Patient', '3');
      return found;
    });
    expect(result.id).toBe('2');
    expect(seen()).toEqual([NURSE, EMERGENCY, NURSE]);
  });

  it('records its beginning, its calls and its end, with the user as the actor', async () => {
    await start();
    await app.medplum.onBehalfOf(NURSE, () =>
      app.medplum.breakGlass(REQUEST, () => app.medplum.readResource('Patient', '2')),
    );
    expect(actions(app.events)).toEqual(['break-glass', 'read', 'break-glass-end']);
    await until(() => sink.events.length === 3);
    expect(sink.events.map(({ id }) => id)).toEqual(app.events.map(({ id }) => id));
    for (const event of app.events) {
      expect(event).toMatchObject({
        outcome: 'success',
        identitySource: 'break-glass',
        onBehalfOf: EMERGENCY,
        reason: REQUEST.reason,
        context: { actor: NURSE, purposeOfUse: ['BTG'] },
      });
      expect(JSON.stringify(event)).not.toMatch(/nurse|emergency|Unconscious/);
    }
    expect(app.events[0]).toMatchObject({ method: 'NONE', path: '/', attempts: [], effect: 'none' });
    expect(app.events[2]?.operationId).toBe(app.events[0]?.operationId);
  });

  it('is recorded before anything else happens', async () => {
    await start();
    let before: string[] = [];
    await app.medplum.onBehalfOf(NURSE, () => app.medplum.breakGlass(REQUEST, () => (before = actions(sink.events))));
    expect(before).toEqual(['break-glass']);
  });

  it('becomes a security alert of FHIR', async () => {
    await start();
    await app.medplum.onBehalfOf(NURSE, () => app.medplum.breakGlass({ ...REQUEST, purposeOfUse: 'ETREAT' }, () => 1));
    const [begin, end] = app.events.map((event) => toFhirAuditEvent(event));
    expect(begin).toMatchObject({
      type: { code: '110113' },
      subtype: [{ system: 'http://dicom.nema.org/resources/ontology/DCM', code: '110127' }],
      outcome: '0',
    });
    expect(begin?.agent).toContainEqual(
      expect.objectContaining({
        requestor: true,
        purposeOfUse: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-ActReason', code: 'ETREAT' }] }],
      }),
    );
    expect(begin?.agent).toContainEqual(expect.objectContaining({ who: { identifier: { value: NURSE } } }));
    expect(end).toMatchObject({ type: { code: '110113' }, subtype: [{ code: '110138' }] });
  });

  it('may choose the membership by who breaks the glass', async () => {
    await start({ breakGlass: { onBehalfOf: (actor) => `${actor}-emergency`, alert: () => undefined } });
    await app.medplum.onBehalfOf(NURSE, () =>
      app.medplum.breakGlass(REQUEST, () => app.medplum.readResource('Patient', '1')),
    );
    expect(seen()).toEqual([`${NURSE}-emergency`]);
  });

  it.each([
    ['without a reason', { ...REQUEST, reason: ' ' }],
    ['with a reason that is too long', { ...REQUEST, reason: 'x'.repeat(257) }],
    ['without an end', { reason: 'x', expiresIn: Infinity }],
    ['for longer than the app allows', { reason: 'x', expiresIn: 3_600_001 }],
    ['with a purpose that is no code', { ...REQUEST, purposeOfUse: 'break the glass ' }],
  ])('is refused %s', async (_, request) => {
    await start();
    const fn = jest.fn();
    const error = await failureOf(app.medplum.onBehalfOf(NURSE, () => app.medplum.breakGlass(request, fn)));
    expect(isMedplumError(error)).toBe(true);
    expect(fn).not.toHaveBeenCalled();
    expect(app.events).toMatchObject([{ action: 'break-glass', outcome: 'refused' }]);
    expect(alerts).toEqual([]);
  });

  it.each([
    ['without a user', (run: () => Promise<unknown>) => run()],
    ['as the client itself', (run: () => Promise<unknown>) => app.medplum.asClientApplication(run)],
    [
      'inside emergency access',
      (run: () => Promise<unknown>) => app.medplum.onBehalfOf(NURSE, () => app.medplum.breakGlass(REQUEST, run)),
    ],
  ])('is refused %s', async (_, around) => {
    await start();
    const fn = jest.fn();
    const error = await failureOf(around(() => app.medplum.breakGlass(REQUEST, fn)));
    expect(error).toBeInstanceOf(OnBehalfOfRequiredError);
    expect(fn).not.toHaveBeenCalled();
    expect(app.events.some(({ action, outcome }) => action === 'break-glass' && outcome === 'refused')).toBe(true);
  });

  it('is refused when the app has not named a membership', async () => {
    await start({ breakGlass: undefined });
    const error = await failureOf(app.medplum.onBehalfOf(NURSE, () => app.medplum.breakGlass(REQUEST, () => 1)));
    expect(error).toMatchObject({ code: 'MEDPLUM_CONFIG' });
    expect(error.message).toContain('option breakGlass');
  });

  it.each([
    ['there is no sink', () => ({ audit: {} })],
    [
      'a sink fails',
      () => ({
        audit: { sinks: [{ write: () => Promise.reject(new Error('disk full')) }], writeTimeout: 50, flushTimeout: 50 },
      }),
    ],
  ])('does not begin when %s', async (_, options) => {
    await start(options());
    const fn = jest.fn();
    const error = await failureOf(app.medplum.onBehalfOf(NURSE, () => app.medplum.breakGlass(REQUEST, fn)));
    expect(error).toBeInstanceOf(AuditSinkError);
    expect(error.message).toContain('The emergency access did not begin');
    expect(fn).not.toHaveBeenCalled();
    expect(alerts).toEqual([]);
    expect(app.wire.requests).toEqual([]);
  });

  it('withholds what a call has read when it cannot be recorded, although audit.mode is not require', async () => {
    await start({ audit: { sinks: [sink], writeTimeout: 50 } });
    const error = await failureOf(
      app.medplum.onBehalfOf(NURSE, () =>
        app.medplum.breakGlass(REQUEST, () => {
          jest.spyOn(sink, 'write').mockRejectedValue(new Error('disk full'));
          return app.medplum.readResource('Patient', '1');
        }),
      ),
    );
    expect(error).toBeInstanceOf(AuditSinkError);
    jest.restoreAllMocks();
  });

  describe('when its time is up', () => {
    it('refuses further calls, also those of bound functions', async () => {
      await start();
      const errors = await app.medplum.onBehalfOf(NURSE, () =>
        app.medplum.breakGlass({ ...REQUEST, expiresIn: 1_000 }, async () => {
          const bound = app.medplum.bind(() => app.medplum.readResource('Patient', '2'));
          await app.medplum.readResource('Patient', '1');
          later(1_000);
          return [await failureOf(app.medplum.readResource('Patient', '2')), await failureOf(bound())];
        }),
      );
      expect(errors.map(({ message }) => message)).toEqual([
        expect.stringContaining('has expired'),
        expect.stringContaining('has expired'),
      ]);
      expect(seen()).toEqual([EMERGENCY]);
      expect(app.events.filter(({ outcome }) => outcome === 'refused')).toMatchObject([
        { action: 'read', identitySource: 'break-glass', context: { actor: NURSE } },
        { action: 'read', identitySource: 'break-glass', context: { actor: NURSE } },
      ]);
    });

    it('ends a search that goes on from page to page', async () => {
      await start();
      app.wire.handler = () => ({
        body: {
          resourceType: 'Bundle',
          type: 'searchset',
          entry: [{ resource: { resourceType: 'Patient', id: '1' } }],
          link: [{ relation: 'next', url: `${app.wire.baseUrl}fhir/R4/Patient?_cursor=2` }],
        },
      });
      const error = await failureOf(
        app.medplum.onBehalfOf(NURSE, () =>
          app.medplum.breakGlass({ ...REQUEST, expiresIn: 1_000 }, async () => {
            for await (const page of app.medplum.searchResourcePages('Patient')) later(1_000 * page.length);
          }),
        ),
      );
      expect(error.message).toContain('has expired');
      expect(app.wire.requests).toHaveLength(1);
    });
  });

  it('leaves no rights behind when its function has settled, whatever lateCalls says', async () => {
    await start({ lateCalls: 'allow' });
    let late: (() => Promise<unknown>) | undefined;
    await app.medplum.onBehalfOf(NURSE, () =>
      app.medplum.breakGlass(REQUEST, () => {
        const inside = new AsyncLocalStorage<number>();
        late = inside.run(1, () => AsyncLocalStorage.bind(() => app.medplum.readResource('Patient', '1')));
      }),
    );
    expect(await failureOf(late?.() ?? Promise.resolve())).toBeInstanceOf(OnBehalfOfRequiredError);
    expect(app.wire.requests).toEqual([]);
  });

  it('alerts whoever watches, outside every scope', async () => {
    let around: string | undefined = 'not asked';
    await start({
      breakGlass: {
        onBehalfOf: EMERGENCY,
        alert: (alert) => {
          alerts.push(alert);
          around = app.medplum.currentOnBehalfOf;
        },
      },
    });
    await app.medplum.onBehalfOf(NURSE, () => app.medplum.breakGlass(REQUEST, () => 1));
    expect(alerts).toMatchObject([
      { id: app.events[0]?.id, actor: NURSE, onBehalfOf: EMERGENCY, reason: REQUEST.reason, purposeOfUse: ['BTG'] },
    ]);
    const [{ expiresAt } = { expiresAt: new Date(0) }] = alerts;
    expect(Math.abs(expiresAt.getTime() - Date.now() - 60_000)).toBeLessThan(20_000);
    expect(around).toBeUndefined();
  });

  it.each([
    ['throws', () => Promise.reject(new TypeError('pager of nurse 5 is off'))],
    ['hangs', () => new Promise<void>(() => undefined)],
  ])('gives access although the hook %s, and the log says so', async (what, alert) => {
    await start({ breakGlass: { onBehalfOf: EMERGENCY, alert } });
    await app.medplum.onBehalfOf(NURSE, () =>
      app.medplum.breakGlass(REQUEST, () => app.medplum.readResource('Patient', '1')),
    );
    expect(seen()).toEqual([EMERGENCY]);
    expect(log.text('error').includes('breakGlass.alert failed with TypeError')).toBe(what === 'throws');
    expect(log.text('error')).not.toContain('nurse');
  });

  it('never mixes up users, whoever breaks the glass meanwhile', async () => {
    await start({ breakGlass: { onBehalfOf: (actor) => `${actor}-emergency`, alert: () => undefined } });
    app.wire.handler = (request: WireRequest) => ({ body: resourceAsked(request), delay: request.path.length % 5 });
    const one = fc.record({
      user: fc.integer({ min: 1, max: 9 }),
      breaks: fc.boolean(),
      reads: fc.integer({ min: 1, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(one, { minLength: 5, maxLength: 20 }), async (jobs) => {
        app.wire.requests.length = 0;
        await Promise.all(
          jobs.map(({ user, breaks, reads }, i) =>
            app.medplum.onBehalfOf(`ProjectMembership/${user}`, async () => {
              const read = async (suffix: string): Promise<void> => {
                for (let n = 0; n < reads; n++) await app.medplum.readResource('Patient', `${i}.${user}${suffix}`);
              };
              await Promise.all([read(''), breaks ? app.medplum.breakGlass(REQUEST, () => read('-emergency')) : 1]);
            }),
          ),
        );
        for (const { path, onBehalfOf } of app.wire.requests) {
          expect(onBehalfOf).toBe(`ProjectMembership/${path.split('.')[1]}`);
        }
      }),
      { numRuns: 10 },
    );
  });
});

describe('The purpose of use', () => {
  let app: MedplumApp;

  beforeEach(async () => {
    app = await startMedplumApp({ auditContext: () => ({ purposeOfUse: 'TREAT', subject: 'nurse' }) });
  });

  afterEach(() => app.close());

  it('of a scope is that of all its calls, also of inner scopes and of calls with an identity of their own', async () => {
    const { medplum } = app;
    await medplum.onBehalfOf(
      NURSE,
      async () => {
        await medplum.readResource('Patient', '1');
        await medplum.readResource('Patient', '2', { onBehalfOf: EMERGENCY });
        await medplum.onBehalfOf(EMERGENCY, () => medplum.readResource('Patient', '3'));
        await medplum.asClientApplication(() => medplum.readResource('Patient', '4'));
        await medplum.onBehalfOf(NURSE, () => medplum.readResource('Patient', '5'), { purposeOfUse: ['PATRQT'] });
      },
      { purposeOfUse: 'HPAYMT' },
    );
    await medplum.readResource('Patient', '6', { onBehalfOf: NURSE });
    expect(app.events.map(({ context }) => context)).toEqual([
      ...Array.from({ length: 4 }, () => ({ purposeOfUse: ['HPAYMT'], subject: 'nurse' })),
      { purposeOfUse: ['PATRQT'], subject: 'nurse' },
      { purposeOfUse: ['TREAT'], subject: 'nurse' },
    ]);
  });

  it('of a decorator is that of all calls of the handler', async () => {
    @Controller()
    @OnBehalfOf(NURSE, { purposeOfUse: ['ETREAT', 'BTG'] })
    class EmergencyController {
      constructor(private readonly medplum: MedplumService) {}

      @Get()
      read() {
        return this.medplum.readResource('Patient', '1');
      }

      @Get('export')
      @AsClientApplication({ purposeOfUse: 'HRESCH' })
      search() {
        return this.medplum.readResource('Patient', '2');
      }
    }
    const module = await Test.createTestingModule({
      imports: [MedplumModule.forRoot(app.wire.options())],
      controllers: [EmergencyController],
    }).compile();
    const events: RequestEvent[] = [];
    module.get(MedplumAudit).events$.subscribe((event) => events.push(event));
    const { app: nest, url } = await listen(module, 'express');
    await fetch(url);
    await fetch(`${url}/export`);
    await nest.close();
    expect(events.map(({ context, identitySource }) => [identitySource, context])).toEqual([
      ['scope', { purposeOfUse: ['ETREAT', 'BTG'] }],
      ['client-application', { purposeOfUse: ['HRESCH'] }],
    ]);
    expect(() => OnBehalfOf(NURSE, { purposeOfUse: 'two  blanks' })).toThrow('FHIR codes');
  });

  it.each(['', ' ETREAT', 'two  blanks', []])('is refused when %j is no code', (purposeOfUse) => {
    expect(() => app.medplum.onBehalfOf(NURSE, () => 1, { purposeOfUse })).toThrow('FHIR codes');
  });
});
