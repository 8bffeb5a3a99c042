import { Injectable } from '@nestjs/common';
import { Cron, Interval, ScheduleModule, SchedulerRegistry, Timeout } from '@nestjs/schedule';
import type { TestingModule } from '@nestjs/testing';
import { OnBehalfOf, RunAsClientApplication, RunOnBehalfOf } from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { Charts, type CrowdApp, mixUpsOf, noMixUps, sendCrowd, startCrowdApp, type Visit } from '../support/crowd';

const NEVER = '0 0 1 1 *';

/** A visit that waits for the next run of a job, which nobody passes arguments to. */
interface Waiting {
  readonly visit: Visit;
  readonly settle: (result: Promise<unknown>) => void;
}

@Injectable()
class Jobs {
  readonly waiting: Waiting[] = [];
  readonly startUp: Promise<string | undefined>;
  #started: (who: Promise<string | undefined>) => void = () => undefined;
  #current: Waiting | undefined;

  constructor(private readonly charts: Charts) {
    this.startUp = new Promise((resolve) => (this.#started = resolve));
  }

  @Cron(NEVER, { name: 'visit' })
  @RunOnBehalfOf(function (this: Jobs) {
    return this.next();
  })
  visit(): Promise<unknown> {
    return this.run((key) => this.charts.visit(key));
  }

  @RunOnBehalfOf(function (this: Jobs) {
    return this.next();
  })
  @Cron(NEVER, { name: 'other-order' })
  otherOrder(): Promise<unknown> {
    return this.run((key) => this.charts.visit(key));
  }

  /** Comes again long before it is done. */
  @Interval('interval', 1)
  @RunOnBehalfOf(function (this: Jobs) {
    return this.waiting[0]?.visit.key.includes('interval') ? this.next() : 'ProjectMembership/nobody';
  })
  interval(): Promise<unknown> | undefined {
    return this.#current && this.run((key) => this.charts.read(key));
  }

  @Timeout('timeout', 1)
  @RunAsClientApplication({ reason: 'set-up' })
  timeout(): Promise<unknown> {
    const done = this.charts.read('client.timeout');
    this.#started(done);
    return done;
  }

  @Cron(NEVER, { name: 'undecorated' })
  undecorated(): Promise<unknown> {
    this.next();
    return this.run((key) => this.charts.read(key));
  }

  /** Takes the next visit. Job and identity are chosen in one go, so that nobody gets the visit of another. */
  private next(): string {
    this.#current = this.waiting.shift();
    return this.#current?.visit.membership ?? '';
  }

  private run(work: (key: string) => Promise<unknown>): Promise<unknown> {
    const current = this.#current;
    this.#current = undefined;
    const result = work(current?.visit.key ?? '');
    current?.settle(result);
    return result;
  }
}

@Injectable()
class WrongJobs {
  @Cron(NEVER)
  @OnBehalfOf('ProjectMembership/office')
  wrong(): void {}
}

const start = (...providers: (new (...args: never[]) => unknown)[]) =>
  startCrowdApp({ imports: [ScheduleModule.forRoot()], providers }, (module) => module.init());

describe('Jobs of @nestjs/schedule', () => {
  let crowd: CrowdApp<TestingModule>;
  let log: CapturedLog;
  let jobs: Jobs;

  beforeAll(async () => {
    crowd = await start(Jobs);
    jobs = crowd.app.get(Jobs);
  });

  afterAll(async () => {
    await crowd?.close();
  });

  beforeEach(() => (log = captureLog()));

  afterEach(() => log.restore());

  const tick = (name: string): void => void crowd.app.get(SchedulerRegistry).getCronJob(name).fireOnTick();

  /** Runs a job for a visit, and waits for its end. */
  const run = (name: string, visit: Visit): Promise<unknown> =>
    new Promise((settle) => {
      jobs.waiting.push({ visit, settle });
      tick(name);
    });

  it('@Timeout() acts as the client, with its reason', async () => {
    expect(await jobs.startUp).toBeUndefined();
    expect(crowd.wire.requests.find(({ path }) => path.endsWith('client.timeout'))?.onBehalfOf).toBeUndefined();
  });

  it.each(['visit', 'other-order'])('%s: never mix up the users of runs at the same time', async (name) => {
    const report = await sendCrowd(crowd.wire, {
      serve: (visit) => run(name, visit),
      refuse: (visit) => run('undecorated', visit),
    });
    expect(report).toEqual(noMixUps());
    expect(log.text('error')).toContain('was answered with 404');
  });

  it('@Interval() keeps apart the runs that overlap', async () => {
    crowd.wire.requests.length = 0;
    const users = Array.from({ length: 40 }, (_, n) => `user${n}`);
    const answers = users.map(
      (membership) =>
        new Promise((settle) => {
          jobs.waiting.push({ visit: { membership, key: `${membership}.interval` }, settle });
        }),
    );
    expect(await Promise.all(answers)).toEqual(users.map((membership) => `ProjectMembership/${membership}`));
    expect(mixUpsOf(crowd.wire)).toEqual([]);
  });

  it('a job that names nobody does not run: the scheduler logs the error', async () => {
    crowd.wire.requests.length = 0;
    tick('visit');
    await new Promise((resolve) => setImmediate(resolve));
    expect(log.text('error')).toContain('The identity of the scope');
    expect(crowd.wire.requests).toEqual([]);
  });

  it('with @OnBehalfOf(), which does nothing there, do not start', async () => {
    await expect(start(WrongJobs)).rejects.toThrow(/WrongJobs\.wrong: .*Use @RunOnBehalfOf\(\)/);
  });
});
