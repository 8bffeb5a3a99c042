import { isMilliseconds } from '../shared/milliseconds';
import type { AsyncJob } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import {
  MedplumBadRequestError,
  MedplumForbiddenError,
  MedplumNotFoundError,
  MedplumProtocolError,
  MedplumServerError,
} from '../errors/response.errors';
import { MedplumTimeoutError } from '../errors/transport.errors';
import { contentRequest, SIGNED } from '../fhir/attachments';
import {
  cancelJob,
  type ExportInput,
  exportManifest,
  type ExportManifest,
  isFinished,
  JOB,
  type JobAddress,
  jobAddress,
  jobStatus,
  startedJob,
  startExport,
} from '../fhir/jobs';
import { retryAfter } from '../http/retry-after';
import type { TransportResponse } from '../http/transport.types';
import type { MedplumRequestOptions } from '../calls/request.options';
import type { Call, ClientCalls } from '../calls/call';
import { downloadOf, type MedplumDownload } from './binaries';
import type { MedplumDownloadOptions, MedplumPollOptions } from './client.options';

const POLL = { further: ['maxWait', 'interval'] };
const LONGEST_INTERVAL = 30_000;

/** Exports and other jobs that the server runs asynchronously: `medplum.bulk`. */
export class MedplumBulk {
  readonly #calls: ClientCalls;

  /** @internal */
  constructor(calls: ClientCalls) {
    this.#calls = calls;
  }

  /**
   * Exports what the identity may see, and waits until the export is done. Every request uses the same identity.
   *
   * @throws MedplumTimeoutError when the export is not done within `maxWait`. The job goes on. MedplumServerError when it
   * failed on the server, or somebody cancelled it.
   */
  async export(input: ExportInput = {}, options: MedplumPollOptions = {}): Promise<ExportManifest> {
    const call = this.#calls.begin(options, POLL);
    return call.whole(async () => {
      const { header, body } = await call.send(JOB.export, () => {
        checkPoll(options);
        return startExport(input);
      });
      const job = startedJob(header('content-location'), body, this.#calls.connection.settings.baseUrl);
      const manifest = (await poll(call, options, async (polls) => {
        const response = await call.send(JOB.status, () => exportManifest(job));
        // The address of the files says nothing of an export that failed, so it would be polled for ever.
        if (response.status === 202 && polls > 0) {
          await checkExport(call, job);
        }
        return response;
      })) as Partial<ExportManifest>;
      if (!Array.isArray(manifest.output)) {
        throw new MedplumProtocolError('The export ended without a list of its files.');
      }
      return manifest as ExportManifest;
    });
  }

  /** Downloads a file of an export. Signed addresses are fetched without credentials. */
  async download(url: string, options: MedplumDownloadOptions = {}): Promise<MedplumDownload> {
    const call = this.#calls.begin(options, { further: ['maxBytes'] });
    const { baseUrl, storageOrigins } = this.#calls.connection.settings;
    return downloadOf(await call.send(SIGNED, () => contentRequest(url, baseUrl, storageOrigins, options.maxBytes)));
  }

  /**
   * Waits for a job to end, and returns it. Its `status` says whether it succeeded (`completed`), failed (`error`) or was
   * cancelled (`cancelled`).
   *
   * @param job its id, or its address as the server gave it. An export has an AsyncJob like any other job.
   * @throws MedplumTimeoutError when it has not ended within `maxWait`.
   */
  async waitForJob(job: string, options: MedplumPollOptions = {}): Promise<AsyncJob> {
    const call = this.#calls.begin(options, POLL);
    const describe = () => {
      checkPoll(options);
      return jobStatus(jobAddress(job, this.#calls.connection.settings.baseUrl));
    };
    return (await poll(call, options, () => call.send(JOB.status, describe))) as AsyncJob;
  }

  /**
   * Cancels a job that has not ended.
   *
   * @param job its id, or its address as the server gave it. For an export, pass the address: by their id, Medplum cancels
   * only jobs that it has not begun. An export that has ended counts as cancelled afterwards, and its files are lost.
   * @throws MedplumBadRequestError when the job has begun or ended.
   */
  async cancelJob(job: string, options: MedplumRequestOptions = {}): Promise<void> {
    const describe = () => cancelJob(jobAddress(job, this.#calls.connection.settings.baseUrl));
    await this.#calls.body(JOB.cancel, describe, options);
  }
}

function checkPoll({ maxWait, interval }: MedplumPollOptions): void {
  for (const ms of [maxWait, interval]) {
    if (ms !== undefined && !isMilliseconds(ms)) {
      throw new MedplumBadRequestError(
        'maxWait and interval must be numbers of milliseconds between 1 and 2147483647.',
      );
    }
  }
}

function isDone({ status, body }: TransportResponse): boolean {
  // A job that was cancelled keeps the status 202, so what its body says comes first.
  const { resourceType } = Object(body) as Partial<AsyncJob>;
  return resourceType === 'AsyncJob' ? isFinished(body as AsyncJob) : status !== 202;
}

/** @throws MedplumServerError when the export will never be done. */
async function checkExport(call: Call, job: JobAddress): Promise<void> {
  let state: unknown;
  try {
    state = await call.body(JOB.status, () => jobStatus(job));
  } catch (error) {
    // The identity may export, but cannot see the job. Then only its address is polled.
    if (error instanceof MedplumForbiddenError || error instanceof MedplumNotFoundError) {
      return;
    }
    throw error;
  }
  const { resourceType, status } = Object(state) as AsyncJob;
  if (resourceType === 'AsyncJob' && isFinished(state as AsyncJob) && status !== 'completed') {
    throw new MedplumServerError(
      `The export was not carried out: ${status === 'error' ? 'it failed on the server' : 'somebody cancelled it'}. Start it again, or look at the log of the server.`,
    );
  }
}

/**
 * Asks for a job until it has ended. It waits as long as the server asks, else longer each time.
 *
 * @param ask gets the number of times that it was called before.
 * @throws MedplumTimeoutError when the job has not ended within `maxWait`.
 */
async function poll(
  call: Call,
  options: MedplumPollOptions,
  ask: (polls: number) => Promise<TransportResponse>,
): Promise<unknown> {
  const start = performance.now();
  for (let polls = 0; ; polls++) {
    const response = await ask(polls);
    if (isDone(response)) {
      return response.body;
    }
    const { maxWait = 600_000, interval = 1_000 } = options;
    const growing = Math.min(interval * 1.5 ** polls, Math.max(interval, LONGEST_INTERVAL));
    const asked = retryAfter(response.header, undefined);
    const pause = asked ? Math.max(asked, interval) : growing;
    if (performance.now() - start + pause > maxWait) {
      throw new MedplumTimeoutError(
        `The job has not ended within ${maxWait} ms (maxWait), and goes on. Wait for it again with waitForJob().`,
        { retryable: true },
      );
    }
    await call.pause(pause, 'Waiting for the job, which goes on,');
  }
}
