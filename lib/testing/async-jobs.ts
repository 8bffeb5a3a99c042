import type { AsyncJob, Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { Caller } from './caller';
import type { Resource, StoredResource } from './emulator.types';
import { JSON_TYPE, jsonAnswer, outcomeAnswer, type Answer, type Exchange } from './exchange';
import { cancelJob } from './fhir-operations';
import { core } from './medplum-peers';
import type { EmulatorRepository } from './repository';
import { resourceAnswer } from './resource-answer';
import type { StorageUrls } from './storage-urls';

type Job = AsyncJob & StoredResource;
/** Does the work of a job and returns what it changes in the AsyncJob. */
type JobWork = () => Promise<Partial<AsyncJob>>;

/** Background jobs of one emulator: bundles with `Prefer: respond-async`, and exports. */
export class AsyncJobs {
  private readonly running = new Set<Promise<void>>();

  constructor(private readonly storage: StorageUrls) {}

  /** Resolves when no job is running. */
  async settled(): Promise<void> {
    await Promise.all(this.running);
  }

  /**
   * Accepts a bundle with 202. Like the real server, it drops the identity: the entries run as the client, and the result
   * belongs to the client. The identity only needs the right to create an AsyncJob.
   */
  async acceptBundle(
    exchange: Exchange,
    caller: Caller,
    run: (repository: EmulatorRepository) => Promise<Resource>,
  ): Promise<Answer> {
    const { state, extended } = exchange;
    const asClient = state.repository(caller.self ?? caller, extended);
    return this.accept(exchange, caller, 'job', async () => {
      const result = (await run(asClient)) as Bundle;
      const reference = await this.storeResult(exchange, asClient, core.stringify(result), 'application/fhir+json');
      return {
        output: { resourceType: 'Parameters', parameter: [{ name: 'results', valueReference: { reference } }] },
      };
    });
  }

  /** Starts an export of everything that the caller may search, with one NDJSON file per type. */
  async acceptExport(exchange: Exchange, caller: Caller, types: readonly string[]): Promise<Answer> {
    const { state, extended } = exchange;
    const repository = state.repository(caller, extended);
    return this.accept(exchange, caller, 'export', async () => {
      const parameter: NonNullable<NonNullable<AsyncJob['output']>['parameter']> = [];
      for (const type of types.filter((candidate) => caller.policy.allows('search', candidate))) {
        const resources = await repository.everythingOf(type);
        if (resources.length > 0) {
          const text = resources.map((resource) => JSON.stringify(resource)).join('\n');
          const reference = await this.storeResult(exchange, repository, text, 'application/fhir+ndjson');
          const part = [
            { name: 'type', valueCode: type },
            { name: 'url', valueUri: reference },
          ];
          parameter.push({ name: 'output', part });
        }
      }
      return { output: { resourceType: 'Parameters', parameter } };
    });
  }

  /** Handles `GET` and `DELETE` of `/fhir/R4/job/<id>/status` and of `/fhir/R4/bulkdata/export/<id>`. */
  async answer(exchange: Exchange, repository: EmulatorRepository, path: string): Promise<Answer | undefined> {
    const [, jobId] = /^\/job\/([^/]+)\/status$/.exec(path) ?? [];
    const [, exportId] = /^\/bulkdata\/export\/([^/]+)$/.exec(path) ?? [];
    const { method } = exchange;
    if (jobId) {
      return method === 'GET'
        ? this.jobAnswer(exchange, repository, jobId)
        : method === 'DELETE'
          ? cancelAnswer(exchange, repository, jobId)
          : undefined;
    }
    if (exportId && method === 'GET') {
      return this.exportAnswer(repository, exportId);
    }
    return exportId && method === 'DELETE' ? dropExport(repository, exportId) : undefined;
  }

  /** The job itself. A cancelled one still looks as if it ran: its status stands in the body. */
  private async jobAnswer(exchange: Exchange, repository: EmulatorRepository, id: string): Promise<Answer> {
    const job = (await repository.readResource('AsyncJob', id)) as Job;
    const isFinal = job.status === 'completed' || job.status === 'error';
    return resourceAnswer(exchange, this.storage, isFinal ? 200 : 202, job);
  }

  private async exportAnswer(repository: EmulatorRepository, id: string): Promise<Answer> {
    const job = (await repository.readResource('AsyncJob', id)) as Job;
    if (job.status === 'cancelled') {
      return jsonAnswer(404, core.notFound);
    }
    return job.status === 'completed' ? this.manifestAnswer(job) : { status: 202 };
  }

  private async accept(exchange: Exchange, caller: Caller, kind: 'job' | 'export', work: JobWork): Promise<Answer> {
    const { state, extended, path } = exchange;
    const job = (await state.repository(caller, extended).createResource<AsyncJob>({
      resourceType: 'AsyncJob',
      status: 'accepted',
      requestTime: new Date().toISOString(),
      request: `${state.baseUrl}${path.slice(1)}`,
    })) as Job;
    const done = new Promise((resolve) => setImmediate(resolve))
      .then(work)
      .then((result) => ({ status: 'completed' as const, ...result }))
      .catch((): Partial<AsyncJob> => ({ status: 'error' }))
      .then((result) => this.finish(exchange, job, result))
      .catch(() => undefined)
      .finally(() => this.running.delete(done));
    this.running.add(done);
    return acceptedAnswer(exchange, kind, job.id);
  }

  /** The server itself writes the result, so the identity that started the job disappears from `meta`. */
  private async finish({ state, caller }: Exchange, { id }: Job, result: Partial<AsyncJob>): Promise<void> {
    const repository = state.systemRepository(caller?.project ?? '');
    const job = (await repository.readResource('AsyncJob', id)) as Job;
    if (job.status === 'accepted') {
      await repository.updateResource<AsyncJob>({ ...job, transactionTime: new Date().toISOString(), ...result });
    }
  }

  private async storeResult(
    { state }: Exchange,
    repository: EmulatorRepository,
    text: string,
    contentType: string,
  ): Promise<string> {
    const binary = (await repository.createResource({ resourceType: 'Binary', contentType })) as StoredResource;
    state.store.putBlob(binary.id, binary.meta.versionId ?? '', Buffer.from(text));
    return `Binary/${binary.id}`;
  }

  private manifestAnswer({ transactionTime, request, output }: Job): Answer {
    const files = (output?.parameter ?? []).map(({ part }) => ({
      type: part?.find(({ name }) => name === 'type')?.valueCode,
      url: this.storage.sign(part?.find(({ name }) => name === 'url')?.valueUri?.split('/')[1] ?? ''),
    }));
    const body = { transactionTime, request, requiresAccessToken: false, output: files, error: [] };
    return { status: 200, contentType: JSON_TYPE, body: JSON.stringify(body) };
  }
}

/** Where to ask for the state of a job. */
function contentLocation({ state }: Exchange, kind: 'job' | 'export', id: string): string {
  return `${state.baseUrl}fhir/R4/${kind === 'job' ? `job/${id}/status` : `bulkdata/export/${id}`}`;
}

function acceptedAnswer(exchange: Exchange, kind: 'job' | 'export', id: string): Answer {
  const url = contentLocation(exchange, kind, id);
  return { ...outcomeAnswer(core.accepted(url), exchange), status: 202, headers: { 'content-location': url } };
}

async function cancelAnswer(exchange: Exchange, repository: EmulatorRepository, id: string): Promise<Answer> {
  const [outcome] = await cancelJob({ params: { id } }, repository);
  if (!core.isOk(outcome)) {
    return outcomeAnswer(outcome, exchange);
  }
  const { diagnostics: _diagnostics, ...issue } = core.accepted('').issue[0] ?? {
    severity: 'information',
    code: 'informational',
  };
  return {
    ...outcomeAnswer({ resourceType: 'OperationOutcome', id: 'accepted', issue: [issue] }, exchange),
    status: 202,
  };
}

/** Even an export that is complete becomes `cancelled`. */
async function dropExport(repository: EmulatorRepository, id: string): Promise<Answer> {
  const job = (await repository.readResource('AsyncJob', id)) as Job;
  if (job.status !== 'cancelled') {
    await repository.updateResource<AsyncJob>({ ...job, status: 'cancelled' });
  }
  return { status: 202, contentType: 'text/plain; charset=utf-8', body: 'Accepted' };
}
