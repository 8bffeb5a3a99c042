import { isMilliseconds } from '../shared/milliseconds';
import type { AsyncJob } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError, MedplumProtocolError } from '../errors/response.errors';
import { MedplumTimeoutError } from '../errors/transport.errors';
import { contentRequest, SIGNED } from '../fhir/attachments';
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
import type { MedplumRequestOptions } from '../calls/request.options';
import type { Call } from '../calls/call';
import { downloadOf, type MedplumDownload } from './binaries';
import type { MedplumDownloadOptions, MedplumPollOptions } from './client.options';
import type { ClientCalls } from '../calls/client-calls';

const POLL = { further: ['maxWait', 'interval'] };
const LONGEST_INTERVAL = 30_000;

/** Exports and other jobs that the server runs on its own: `medplum.bulk`. */
export class MedplumBulk {
  readonly #calls: ClientCalls;

  /** @internal */
  constructor(calls: ClientCalls) {
    this.#calls = calls;
  }

  /**
   * Exports what the identity may see, and waits until it is done. Every request is made for the same identity.
   *
   * @throws MedplumTimeoutError when it is not done within `maxWait`; the job goes on then.
   */
  async export(input: ExportInput = {}, options: MedplumPollOptions = {}): Promise<ExportManifest> {
    const call = this.#calls.begin(options, POLL);
    const { header, body } = await call.send(JOB.export, () => {
      checkPoll(options);
      return startExport(input);
    });
    const path = startedJob(header('content-location'), body, this.#calls.connection.settings.baseUrl);
    const manifest = (await poll(call, path, options)) as Partial<ExportManifest>;
    if (!Array.isArray(manifest.output)) {
      throw new MedplumProtocolError('The export ended without a list of its files.');
    }
    return manifest as ExportManifest;
  }

  /** Downloads a file of an export; signed addresses are fetched without credentials. */
  async download(url: string, options: MedplumDownloadOptions = {}): Promise<MedplumDownload> {
    const call = this.#calls.begin(options, { further: ['maxBytes'] });
    const { baseUrl, storageOrigins } = this.#calls.connection.settings;
    return downloadOf(await call.send(SIGNED, () => contentRequest(url, baseUrl, storageOrigins, options.maxBytes)));
  }

  /**
   * Waits for a job to end, and returns it, whether it succeeded or not: see its `status`.
   *
   * @param job its id, or its address as the server gave it.
   * @throws MedplumTimeoutError when it has not ended within `maxWait`.
   */
  async waitForJob(job: string, options: MedplumPollOptions = {}): Promise<AsyncJob> {
    const call = this.#calls.begin(options, POLL);
    let path = '';
    const describe = () => {
      checkPoll(options);
      return jobStatus((path = jobPath(job, this.#calls.connection.settings.baseUrl)));
    };
    const first = await call.send(JOB.status, describe);
    return (isDone(first) ? first.body : await poll(call, path, options)) as AsyncJob;
  }

  /** Ends a job that has not ended by itself. */
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
  const { resourceType } = (body ?? {}) as Partial<AsyncJob>;
  return status !== 202 && (resourceType !== 'AsyncJob' || isFinished(body as AsyncJob));
}

/** Asks for the state of a job, less and less often, until it has ended. */
async function poll(call: Call, path: string, options: MedplumPollOptions): Promise<unknown> {
  const { maxWait = 600_000, interval = 1_000 } = options;
  const end = performance.now() + maxWait;
  for (let wait = interval; ; wait = Math.min(wait * 1.5, Math.max(interval, LONGEST_INTERVAL))) {
    const response = await call.send(JOB.status, () => jobStatus(path));
    if (isDone(response)) {
      return response.body;
    }
    const asked = Number(response.header('retry-after')) * 1000;
    const pause = asked > 0 ? Math.max(asked, interval) : wait;
    if (performance.now() + pause > end) {
      throw new MedplumTimeoutError(`The job has not ended within ${maxWait} ms (maxWait). It goes on.`, {
        retryable: true,
      });
    }
    await call.pause(pause, 'Waiting for the job, which goes on,');
  }
}
