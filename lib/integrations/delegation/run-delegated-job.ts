import type { RunDelegatedOptions } from '../../client/delegations';
import type { MedplumService } from '../../medplum.service';
import { JOB_OPTION, queueAudience } from './delegated-queue';

/** A `Job` of BullMQ, as a worker gets it. */
export interface DelegatedJob {
  /** The id of the job. */
  readonly id?: string | undefined;
  /** The name of the queue that the worker works on. */
  readonly queueName: string;
  /** How often the job was started, this time included. */
  readonly attemptsStarted: number;
  /** The options of the job, with its token. */
  readonly opts: object;
}

/** @internal The token of a job, and what it must be bound to. */
export function workOfJob(job: DelegatedJob): RunDelegatedOptions & { readonly token: string } {
  const { [JOB_OPTION]: token } = job.opts as { readonly [JOB_OPTION]?: string };
  if (token !== undefined) {
    // Whatever prints the job from now on does not print its token. Redis keeps it for the next attempt.
    Object.defineProperty(job.opts, JOB_OPTION, { value: token, enumerable: false });
  }
  const { id, queueName, attemptsStarted: attempt } = job;
  // A job without an id is none that a token is bound to.
  return { token: token ?? '', audience: queueAudience(queueName), jobId: id ?? 'none', attempt };
}

/**
 * Runs the processor of a BullMQ job as whoever added the job with {@link delegatedQueue}. Each attempt can be made once:
 * BullMQ may repeat the job, but a job that somebody adds again under the same id, with other data, is refused.
 *
 * @throws DelegationError and OnBehalfOfRejectedError as `MedplumService.runDelegated` does. `process` is not called then.
 * @example
 * ```ts
 * new Worker('reminders', (job) => runDelegatedJob(medplum, job, () => remind(job.data)), { connection });
 * ```
 */
export function runDelegatedJob<T>(
  medplum: Pick<MedplumService, 'runDelegated'>,
  job: DelegatedJob,
  process: () => T,
): Promise<Awaited<T>> {
  const { token, ...options } = workOfJob(job);
  return medplum.runDelegated(token, process, options);
}
