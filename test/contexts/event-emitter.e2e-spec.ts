import { Injectable } from '@nestjs/common';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import type { TestingModule } from '@nestjs/testing';
import { MedplumService, OnBehalfOf, OnBehalfOfReferenceError, RunOnBehalfOf } from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { Charts, type CrowdApp, mixUpsOf, noMixUps, sendCrowd, startCrowdApp, type Visit } from '../support/crowd';

const LOUD = { suppressErrors: false };
const membershipOf = ({ membership }: Visit) => membership;

@Injectable()
class VisitListener {
  constructor(private readonly charts: Charts) {}

  @OnEvent('visit', LOUD)
  @RunOnBehalfOf(membershipOf)
  visit({ key }: Visit): Promise<string | undefined> {
    return this.charts.visit(key);
  }

  @RunOnBehalfOf(membershipOf)
  @OnEvent('other-order', LOUD)
  otherOrder({ key }: Visit): Promise<string | undefined> {
    return this.charts.visit(key);
  }

  @OnEvent('quiet')
  @RunOnBehalfOf(membershipOf)
  quiet({ key }: Visit): Promise<string | undefined> {
    return this.charts.visit(key);
  }

  @OnEvent('undecorated', LOUD)
  undecorated({ key }: Visit): Promise<string | undefined> {
    return this.charts.read(key);
  }
}

@Injectable()
class WrongListener {
  @OnEvent('wrong')
  @OnBehalfOf('ProjectMembership/office')
  wrong(): void {}
}

const start = (...providers: (new (...args: never[]) => unknown)[]) =>
  startCrowdApp({ imports: [EventEmitterModule.forRoot()], providers }, (module) => module.init());

describe('Listeners of @nestjs/event-emitter', () => {
  let crowd: CrowdApp<TestingModule>;
  let log: CapturedLog;
  let emitter: EventEmitter2;
  let medplum: MedplumService;

  beforeAll(async () => {
    crowd = await start(VisitListener);
    emitter = crowd.app.get(EventEmitter2);
    medplum = crowd.app.get(MedplumService);
  });

  afterAll(async () => {
    await crowd?.close();
  });

  beforeEach(() => {
    log = captureLog();
    crowd.wire.requests.length = 0;
  });

  afterEach(() => log.restore());

  /** Whom the only listener of an event acted for. */
  const emit = async (event: string, visit: Partial<Visit>): Promise<unknown> => {
    const [who] = (await emitter.emitAsync(event, visit)) as unknown[];
    return who;
  };

  it.each(['visit', 'other-order'])('%s: never mix up those whom the events name', async (event) => {
    const report = await sendCrowd(crowd.wire, {
      // Whoever emits is not the one whom the event names.
      serve: (visit) => medplum.onBehalfOf('someone-else', () => emit(event, visit)),
      refuse: (visit) => emit('undecorated', visit),
    });
    expect(report).toEqual(noMixUps());
  });

  it('act for those whom the events name after the scope of the emitter has ended', async () => {
    const users = Array.from({ length: 40 }, (_, n) => `user${n}`);
    const late: Promise<unknown>[] = [];
    medplum.onBehalfOf('someone-else', () => {
      late.push(...users.map((membership) => emit('visit', { membership, key: `${membership}.0` })));
    });
    expect(await Promise.all(late)).toEqual(users.map((membership) => `ProjectMembership/${membership}`));
    expect(mixUpsOf(crowd.wire)).toEqual([]);
  });

  it('act for whoever emits when they are not decorated', async () => {
    expect(await medplum.onBehalfOf('user1', () => emit('undecorated', { key: 'user1.0' }))).toBe(
      'ProjectMembership/user1',
    );
  });

  it('run nothing for an event that names nobody: it is an error for the emitter, or a line of the log', async () => {
    await expect(emit('visit', { key: 'user1.0' })).rejects.toThrow(OnBehalfOfReferenceError);
    expect(await emit('quiet', { key: 'user1.0' })).toBeUndefined();
    expect(log.text('error')).toContain('The identity of the scope');
    expect(crowd.wire.requests).toEqual([]);
  });

  it('with @OnBehalfOf(), which does nothing there, do not start', async () => {
    await expect(start(WrongListener)).rejects.toThrow(/WrongListener\.wrong: .*Use @RunOnBehalfOf\(\)/);
  });
});
