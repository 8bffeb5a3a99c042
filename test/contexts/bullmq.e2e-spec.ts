import { randomUUID } from 'node:crypto';
import { BullModule, getQueueToken, OnWorkerEvent, Processor, WorkerHost } from '@nestjs/bullmq';
import type { TestingModule } from '@nestjs/testing';
import type { Job, Queue } from 'bullmq';
import { MedplumService, OnBehalfOf, RunOnBehalfOf } from 'nestjs-medplum';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { Charts, type CrowdApp, mixUpsOf, noMixUps, sendCrowd, startCrowdApp, type Visit } from '../support/crowd';
import { describeWithRedis, startRedis, type TestRedis } from '../support/redis';

type VisitJob = Job<Partial<Visit>>;

/** How a job ended: with whom it acted for, or why it failed for good. */
interface Ended {
  readonly who?: unknown;
  readonly job: VisitJob;
}

@Processor('visits', { concurrency: 8 })
class VisitProcessor extends WorkerHost {
  readonly waiting = new Map<string, (ended: Ended) => void>();

  constructor(private readonly charts: Charts) {
    super();
  }

  /** The worker takes jobs with and without an identity in turn, so that one could get what another left behind. */
  override process(job: VisitJob): Promise<unknown> {
    return job.name === 'visit' ? this.visit(job) : this.charts.read(job.data.key ?? '');
  }

  @RunOnBehalfOf((job: VisitJob) => job.data.membership as string)
  async visit({ data: { key = '' } }: VisitJob): Promise<unknown> {
    return this.charts.visit(key);
  }

  @OnWorkerEvent('completed')
  completed(job: VisitJob, who: unknown): void {
    this.waiting.get(job.id ?? '')?.({ who, job });
  }

  @OnWorkerEvent('failed')
  failed(job: VisitJob): void {
    if (job.attemptsMade >= (job.opts.attempts ?? 1)) {
      this.waiting.get(job.id ?? '')?.({ job });
    }
  }
}

/** `process` itself carries the decorator, as the recipe shows it. */
@Processor('decorated')
class DecoratedProcessor extends VisitProcessor {
  @RunOnBehalfOf((job: VisitJob) => job.data.membership as string)
  override process(job: VisitJob): Promise<unknown> {
    return super.process(job);
  }
}

@Processor('visits')
class WrongProcessor extends WorkerHost {
  @OnBehalfOf('ProjectMembership/office')
  override process(): Promise<void> {
    return Promise.resolve();
  }
}

/** Whom a job acted for. Rejects when it failed. */
const whoOf = async (ended: Promise<Ended>): Promise<unknown> => {
  const { who, job } = await ended;
  if (job.failedReason !== undefined) {
    throw new Error(job.failedReason);
  }
  return who;
};

describeWithRedis('Jobs of BullMQ', () => {
  let redis: TestRedis | undefined;
  let crowd: CrowdApp<TestingModule>;
  let log: CapturedLog;

  const start = () =>
    startCrowdApp(
      {
        imports: [
          BullModule.forRoot({ connection: { ...redis?.address }, prefix: randomUUID() }),
          BullModule.registerQueue({ name: 'visits' }, { name: 'decorated' }),
        ],
        providers: [VisitProcessor, DecoratedProcessor],
      },
      (module) => module.init(),
    );

  beforeAll(async () => {
    redis = await startRedis();
    crowd = await start();
  });

  afterAll(async () => {
    await crowd?.close();
    await redis?.close();
  });

  beforeEach(() => {
    log = captureLog();
    crowd.wire.requests.length = 0;
  });

  afterEach(() => log.restore());

  /** Adds a job inside the scope of somebody else, and waits for its end. */
  const run = (name: string, visit: Partial<Visit>, attempts = 1, queueName = 'visits'): Promise<Ended> => {
    const queue = crowd.app.get<Queue>(getQueueToken(queueName), { strict: false });
    const { waiting } = crowd.app.get(queueName === 'visits' ? VisitProcessor : DecoratedProcessor);
    const jobId = randomUUID();
    const ended = new Promise<Ended>((resolve) => waiting.set(jobId, resolve));
    return crowd.app
      .get(MedplumService)
      .onBehalfOf('someone-else', () => queue.add(name, visit, { jobId, attempts }))
      .then(() => ended);
  };

  it('never mix up the users of a worker, and leave nothing behind for its next job', async () => {
    const report = await sendCrowd(crowd.wire, {
      serve: (visit) => whoOf(run('visit', visit)),
      refuse: (visit) => whoOf(run('probe', visit)),
    });
    expect(report).toEqual(noMixUps());
  });

  it('act for the same user each time they are tried', async () => {
    const { job } = await run('visit', { membership: 'user1', key: 'user1.3' }, 3);
    expect(job.attemptsMade).toBe(3);
    expect(crowd.wire.requests.filter(({ path }) => path.endsWith('-after'))).toHaveLength(3);
    expect(mixUpsOf(crowd.wire)).toEqual([]);
  });

  it('act for their user when `process` itself is decorated', async () => {
    expect(await whoOf(run('probe', { membership: 'user1', key: 'user1.0' }, 1, 'decorated'))).toBe(
      'ProjectMembership/user1',
    );
  });

  it('fail without a membership: the reason in Redis is of the library, and nothing is sent', async () => {
    const { job } = await run('visit', { key: 'user1.0' });
    expect(job.failedReason).toMatch(/^The identity of the scope is undefined/);
    expect(crowd.wire.requests).toEqual([]);
  });

  it('fail with a reason and a stack that show nothing of the record', async () => {
    const { job } = await run('visit', { membership: 'user1', key: 'user1.3' });
    expect(job.failedReason).toMatch(/^GET \/fhir\/R4\/Patient\/\{id\} was answered with 404/);
    expect(JSON.stringify([job.failedReason, job.stacktrace])).not.toMatch(/user1|taint/);
  });

  it('with @OnBehalfOf(), which does nothing there, do not start', async () => {
    const app = startCrowdApp({ providers: [WrongProcessor] }, (module) => module.init());
    await expect(app).rejects.toThrow(/WrongProcessor\.process: .*Use @RunOnBehalfOf\(\)/);
  });
});
