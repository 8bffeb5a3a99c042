import type { DelegateOptions } from '../../client/delegations';
import { DelegationError } from '../../errors/delegation.error';
import type { MedplumService } from '../../medplum.service';

/** @internal The option of a job that carries its token. Unlike its data, nothing rewrites the options of a job. */
export const JOB_OPTION = 'medplumDelegation';

/** A `Queue` of BullMQ. */
export interface JobQueue {
  /** The name of the queue, which becomes the audience of its tokens. */
  readonly name: string;
  /** Adds a job. */
  add(name: never, data: never, options?: never): Promise<unknown>;
  /** Adds several jobs. */
  addBulk(jobs: never): Promise<unknown>;
}

/** What a job must say so that a token can be bound to it. */
export interface BoundJobOptions {
  /** The id of the job. BullMQ ignores a job whose id is in the queue already. */
  readonly jobId: string;
}

type JobOptions<Q> = Q extends { add(name: never, data: never, options?: infer O): unknown }
  ? NonNullable<O> & BoundJobOptions
  : never;

/** The methods of a queue that add jobs, each with a token of the identity that adds it. */
export interface DelegatedQueue<Q extends JobQueue> {
  /** Adds a job that acts as whoever adds it. */
  add(name: Parameters<Q['add']>[0], data: Parameters<Q['add']>[1], options: JobOptions<Q>): ReturnType<Q['add']>;
  /** Adds several jobs that act as whoever adds them. */
  addBulk(
    jobs: readonly {
      readonly name: Parameters<Q['add']>[0];
      readonly data: Parameters<Q['add']>[1];
      readonly opts: JobOptions<Q>;
    }[],
  ): ReturnType<Q['addBulk']>;
}

/** @internal The audience of the tokens of a queue. */
export function queueAudience(name: string): string {
  return `bullmq:${name}`;
}

/**
 * Wraps a `Queue` of BullMQ so that each job carries the identity of whoever adds it. The token is bound to the queue and
 * to the `jobId`, which you have to give. It stands in the options of the job, as `medplumDelegation`. Process the jobs
 * with `@RunDelegated()` or {@link runDelegatedJob}.
 *
 * @param options.expiresIn how long the job may wait, with its delay and all of its attempts, in ms, up to 86,400,000.
 * @throws OnBehalfOfRequiredError and DelegationError (from `add` and `addBulk`) as `MedplumService.delegate` does, and
 * DelegationError for a job without a `jobId` or that is repeated. Nothing is added then.
 * @example
 * ```ts
 * await delegatedQueue(queue, medplum, { expiresIn: 3_600_000 }).add('remind', { patient }, { jobId: randomUUID() });
 * ```
 */
export function delegatedQueue<Q extends JobQueue>(
  queue: Q,
  medplum: Pick<MedplumService, 'delegate'>,
  options: Pick<DelegateOptions, 'expiresIn'>,
): DelegatedQueue<Q> {
  const target = queue as unknown as {
    add(name: unknown, data: unknown, options: object): ReturnType<Q['add']>;
    addBulk(jobs: readonly object[]): ReturnType<Q['addBulk']>;
  };
  const delegated = async (given: BoundJobOptions): Promise<object> => {
    const { jobId } = checkOptions(given);
    const token = await medplum.delegate({ audience: queueAudience(queue.name), jobId, ...options });
    return { ...given, [JOB_OPTION]: token };
  };
  const add = async (name: unknown, data: unknown, given: BoundJobOptions): Promise<unknown> =>
    target.add(name, data, await delegated(given));
  const addBulk = async (jobs: readonly { readonly opts: BoundJobOptions }[]): Promise<unknown> =>
    target.addBulk(await Promise.all(jobs.map(async (job) => ({ ...job, opts: await delegated(job.opts) }))));
  return { add, addBulk } as unknown as DelegatedQueue<Q>;
}

function checkOptions(given: unknown): BoundJobOptions {
  const { jobId, repeat } = Object(given) as { readonly jobId?: unknown; readonly repeat?: unknown };
  if (typeof jobId !== 'string' || jobId === '') {
    throw new DelegationError(
      'The job was not added, because it has no jobId that a delegation could be bound to. Give one, such as a random UUID.',
      { reason: 'arguments' },
    );
  }
  if (repeat !== undefined) {
    throw new DelegationError(
      'The job was not added, because it is repeated: nobody can delegate for longer than 24 hours. Use @RunOnBehalfOf() for work that the app does on its own.',
      { reason: 'arguments' },
    );
  }
  return { jobId };
}
