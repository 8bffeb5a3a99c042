import { inspect } from 'node:util';
import { Injectable } from '@nestjs/common';
import { type Job, Queue, QueueEvents, Worker } from 'bullmq';
import { DelegationError, MedplumService, OnBehalfOfRequiredError } from 'nestjs-medplum';
import { delegatedQueue, RunDelegated, runDelegatedJob } from 'nestjs-medplum/delegation';
import { type CapturedLog, captureLog } from '../support/captured-log';
import { closeAll } from '../support/close-all';
import { delegation, partsOf } from '../support/delegations';
import { failureOf } from '../support/failure-of';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { describeWithRedis, startRedis, type TestRedis } from '../support/redis';

interface Reminder {
  readonly patient: string;
  readonly fails?: number;
  /** Prints the job, which takes long: it leads to its queue and its connection. */
  readonly prints?: true;
}

const seen: { readonly patient: string; readonly as: string | undefined; readonly job: string }[] = [];

@Injectable()
class ReminderProcessor {
  constructor(private readonly medplum: MedplumService) {}

  @RunDelegated()
  async process(job: Job<Reminder>): Promise<string | undefined> {
    const { patient, fails = 0, prints } = job.data;
    await this.medplum.readResource('Patient', patient);
    seen.push({
      patient,
      as: this.medplum.currentOnBehalfOf,
      job: prints ? inspect(job, { depth: 9 }) + JSON.stringify(job) : '',
    });
    if (job.attemptsStarted <= fails) {
      throw new Error('not yet');
    }
    return this.medplum.currentOnBehalfOf;
  }
}

let redis: TestRedis;
let app: MedplumApp;
let queue: Queue<Reminder>;
let events: QueueEvents;
let worker: Worker<Reminder> | undefined;
let log: CapturedLog;
let count = 0;

const process$ = (job: Job<Reminder>) => app.module.get(ReminderProcessor).process(job);
const work = (on = queue.name, processor: (job: Job<Reminder>) => Promise<unknown> = process$): void => {
  worker = new Worker<Reminder>(on, processor, { connection: redis.address, concurrency: 10 });
};
const reminders = () => delegatedQueue(queue, app.medplum, { expiresIn: 60_000 });
const add = (who: string, jobId: string, data: Reminder, more: object = {}) =>
  app.medplum.onBehalfOf(who, () => reminders().add('remind', data, { jobId, ...more }));
const tokenOf = (job: Job) => (job.opts as unknown as { readonly medplumDelegation: string }).medplumDelegation;

/** The options with which somebody adds a job that has the token of another one. */
const stolen = async (): Promise<object> => {
  const job = await add('m1', 'j1', { patient: '1' });
  return { medplumDelegation: tokenOf(job) };
};
const outcome = async (job: Job<Reminder>): Promise<unknown> => {
  await job.waitUntilFinished(events).catch(() => undefined);
  return app.events.at(-1)?.error?.reason;
};

describeWithRedis('jobs of BullMQ', () => {
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.close());

  beforeEach(async () => {
    log = captureLog();
    seen.length = 0;
    app = await startMedplumApp({ delegation: delegation() }, { providers: [ReminderProcessor] });
    queue = new Queue<Reminder>(`reminders-${++count}`, { connection: redis.address });
    events = new QueueEvents(queue.name, { connection: redis.address });
    await events.waitUntilReady();
  });
  afterEach(async () => {
    log.restore();
    await closeAll(worker, events, queue, app);
    worker = undefined;
  });

  it('act as whoever added them, and only as them: many users, many jobs, one queue', async () => {
    const users = Array.from({ length: 20 }, (_, i) => `m${i}`);
    const ran = new Map<string, unknown>();
    await Promise.all(
      users.flatMap((user) => [0, 1, 2].map((i) => add(user, `${user}-${i}`, { patient: `${user}-${i}` }))),
    );
    work();
    await new Promise<void>((resolve, reject) => {
      worker?.on('failed', (_job, error) => reject(error));
      worker?.on('completed', ({ id = '' }, as: unknown) => {
        ran.set(id, as);
        if (ran.size === users.length * 3) {
          resolve();
        }
      });
    });
    for (const [id, as] of ran) {
      expect(as).toBe(`ProjectMembership/${id.split('-')[0]}`);
    }
    for (const { path, onBehalfOf } of app.wire.requests.filter((one) => one.path.includes('/Patient/'))) {
      expect(onBehalfOf).toBe(`ProjectMembership/${/Patient\/(m\d+)-/.exec(path)?.[1]}`);
    }
    expect(app.medplum.currentOnBehalfOf).toBeUndefined();
  });

  it('run again with the same token when they fail', async () => {
    work();
    const job = await add('m1', 'j1', { patient: '1', fails: 2 }, { attempts: 3 });
    expect(await job.waitUntilFinished(events)).toBe('ProjectMembership/m1');
    expect(seen.map(({ as }) => as)).toEqual(Array.from({ length: 3 }, () => 'ProjectMembership/m1'));
  });

  it('leave nothing behind for a job without a token, which is refused', async () => {
    worker = new Worker<Reminder>(queue.name, process$, { connection: redis.address, concurrency: 1 });
    await (await add('m1', 'j1', { patient: '1' })).waitUntilFinished(events);
    const job = await queue.add('remind', { patient: '2' }, { jobId: 'j2' });
    await expect(job.waitUntilFinished(events)).rejects.toThrow('there is no token');
    expect(seen).toHaveLength(1);
    expect(app.events.at(-1)).toMatchObject({ action: 'delegation', error: { reason: 'missing' } });
  });

  it('do not show their tokens to whatever prints them while they run, nor in the log', async () => {
    work();
    const job = await add('m1', 'j1', { patient: '1', prints: true });
    await job.waitUntilFinished(events);
    const [, claims = 'none'] = tokenOf(job).split('.');
    expect(seen[0]?.job).toContain('remind');
    expect(seen[0]?.job).not.toContain(claims);
    expect(inspect([log.given, app.events], { depth: 9 })).not.toContain(claims);
    expect(JSON.stringify(job.data)).toBe('{"patient":"1","prints":true}');
  });

  it('are added in bulk', async () => {
    work();
    const jobs = await app.medplum.onBehalfOf('m1', () =>
      reminders().addBulk([
        { name: 'a', data: { patient: '1' }, opts: { jobId: 'j1' } },
        { name: 'b', data: { patient: '2' }, opts: { jobId: 'j2', attempts: 2 } },
      ]),
    );
    expect(jobs.map((job) => partsOf(tokenOf(job)).claims['job'])).toEqual(['j1', 'j2']);
    const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events)));
    expect(results).toEqual(['ProjectMembership/m1', 'ProjectMembership/m1']);
  });

  it('are not added without an identity, without a jobId, or for ever', async () => {
    await expect(reminders().add('remind', { patient: '1' }, { jobId: 'j1' })).rejects.toThrow(OnBehalfOfRequiredError);
    for (const options of [undefined, {}, { jobId: '' }, { jobId: 'j1', repeat: { every: 1_000 } }]) {
      const adding = app.medplum.onBehalfOf('m1', () => reminders().add('remind', { patient: '1' }, options as never));
      expect(await failureOf(adding)).toMatchObject({ reason: 'arguments' });
    }
    expect(await queue.getJobCounts('waiting', 'delayed')).toEqual({ waiting: 0, delayed: 0 });
  });

  it('run without Nest in a plain processor function', async () => {
    work(queue.name, (job) => runDelegatedJob(app.medplum, job, () => app.medplum.currentOnBehalfOf));
    const job = await add('m1', 'j1', { patient: '1' });
    expect(await job.waitUntilFinished(events)).toBe('ProjectMembership/m1');
  });

  describe('of somebody who can write to Redis', () => {
    it('do not run with the token of another job', async () => {
      const token = await stolen();
      await queue.obliterate({ force: true });
      work();
      expect(await outcome(await queue.add('remind', { patient: '2' }, { jobId: 'j2', ...token }))).toBe('job');
      expect(await outcome(await queue.add('remind', { patient: '2' }, token))).toBe('job');
      expect(seen).toEqual([]);
    });

    it('do not run with the token of a job that has run, not even under its id', async () => {
      work();
      const job = await add('m1', 'j1', { patient: '1' });
      await job.waitUntilFinished(events);
      const token = { medplumDelegation: tokenOf(job) };
      await job.remove();
      expect(await outcome(await queue.add('remind', { patient: '2' }, { jobId: 'j1', ...token }))).toBe('replayed');
      expect(seen).toHaveLength(1);
    });

    it('do not run in another queue', async () => {
      const token = await stolen();
      const other = new Queue<Reminder>(`${queue.name}-other`, { connection: redis.address });
      const otherEvents = new QueueEvents(other.name, { connection: redis.address });
      await otherEvents.waitUntilReady();
      try {
        work(other.name);
        const job = await other.add('remind', { patient: '2' }, { jobId: 'j1', ...token });
        await expect(job.waitUntilFinished(otherEvents)).rejects.toThrow('another audience');
      } finally {
        await closeAll(otherEvents, other);
      }
    });

    it('do not run as somebody else', async () => {
      const { medplumDelegation } = (await stolen()) as { readonly medplumDelegation: string };
      const [head = '', , signature = ''] = medplumDelegation.split('.');
      const claims = { ...partsOf(medplumDelegation).claims, sub: 'ProjectMembership/admin' };
      const forged = [head, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
      await queue.obliterate({ force: true });
      work();
      const job = await queue.add('remind', { patient: '2' }, { jobId: 'j1', medplumDelegation: forged } as object);
      expect(await outcome(job)).toBe('signature');
    });
  });
});

const runDelegated = (token: string): Promise<never> => Promise.reject(new DelegationError(`${token.length}`));

it('a job that carries no options a token could stand in is refused as well', async () => {
  const job = { queueName: 'q', attemptsStarted: 1, opts: {} };
  await expect(runDelegatedJob({ runDelegated }, job, () => undefined)).rejects.toThrow('0');
});
