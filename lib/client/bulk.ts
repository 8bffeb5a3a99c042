import { isMilliseconds } from '../shared/milliseconds';
import type { AsyncJob } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError, MedplumProtocolError } from '../errors/response.errors';
import { MedplumTimeoutError } from '../errors/transport.errors';
import { contentRequest, SIGNED } from '../fhir/attachments';
import type { FhirRequest } from '../fhir/fhir-request';
import {
  cancelJob,
  type ExportInput,
  type ExportManifest,
  isFinished,
  JOB,
  jobPath,
  jobStatus,
  startedJob,
  startExport,
} from '../fhir/jobs';
import { retryAfter } from '../http/retry-after';
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
   * @throws MedplumTimeoutError when the export is not done within `maxWait`. The job goes on.
   */
  async export(input: ExportInput = {}, options: MedplumPollOptions = {}): Promise<ExportManifest> {
    const call = this.#calls.begin(options, POLL);
    return call.whole(async () => {
      const { header, body } = await call.send(JOB.export, () => {
        checkPoll(options);
        return startExport(input);
      });
      const path = startedJob(header('content-location'), body, this.#calls.connection.settings.baseUrl);
      const manifest = (await poll(call, () => jobStatus(path), options)) as Partial<ExportManifest>;
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
   * Waits for a job to end, and returns it. Its `status` says whether it succeeded.
   *
   * @param job its id, or its address as the server gave it.
   * @throws MedplumTimeoutError when it has not ended within `maxWait`.
   */
  async waitForJob(job: string, options: MedplumPollOptions = {}): Promise<AsyncJob> {
    const call = this.#calls.begin(options, POLL);
    const describe = () => {
      checkPoll(options);
      return jobStatus(jobPath(job, this.#calls.connection.settings.baseUrl));
    };
    return (await poll(call, describe, options)) as AsyncJob;
  }

  /** Cancels a job that has not ended. */
  async cancelJob(job: string, options: MedplumRequestOptions = {}): Promise<void> {
    await this.#calls.body(JOB.cancel, () => cancelJob(job, this.#calls.connection.settings.baseUrl), options);
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

function isDone({ status, body }: { readonly status: number; readonly body: unknown }): boolean {
  const { resourceType } = Object(body) as Partial<AsyncJob>;
  return status !== 202 && (resourceType !== 'AsyncJob' || isFinished(body as AsyncJob));
}

/**
 * Requests the state of a job until the job has ended. It waits as long as the server asks, else longer each time.
 *
 * @throws MedplumTimeoutError when the job has not ended within `maxWait`.
 */
async function poll(call: Call, describe: () => FhirRequest, options: MedplumPollOptions): Promise<unknown> {
  const start = performance.now();
  for (let polls = 0; ; polls++) {
    const response = await call.send(JOB.status, describe);
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
