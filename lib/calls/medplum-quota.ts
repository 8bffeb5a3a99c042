import type { MedplumQuotaRemaining, ServerLimit } from '../http/server-quota';

/** What is left of the quota of a client, and how busy the client is. */
export interface MedplumQuota {
  /**
   * What the last responses of the server said, in the windows that have not ended. Absent if no response has said anything,
   * or if the quota has been reset since.
   */
  readonly remaining?: MedplumQuotaRemaining;
  /** When all of `remaining` is reset. */
  readonly resetsAt?: Date;
  /** Requests that run now. Without the option `quota`: calls that run now. */
  readonly running: number;
  /** Requests that wait for their turn. Without the option `quota`: 0. */
  readonly queued: number;
}

/** @internal */
export function quotaNow(
  limits: readonly ServerLimit[],
  { running, queued }: Pick<MedplumQuota, 'running' | 'queued'>,
): MedplumQuota {
  const left = Object.fromEntries(limits.map(({ name, remaining }) => [name, remaining]));
  const { requests, fhirInteractions } = left as MedplumQuotaRemaining;
  if (requests === undefined && fhirInteractions === undefined) {
    return { running, queued };
  }
  const resetsIn = Math.max(...limits.map(({ resetsAt }) => resetsAt)) - performance.now();
  return {
    remaining: {
      ...(requests !== undefined && { requests }),
      ...(fhirInteractions !== undefined && { fhirInteractions }),
    },
    resetsAt: new Date(Date.now() + resetsIn),
    running,
    queued,
  };
}
