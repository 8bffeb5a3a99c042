import type { AsyncJob, OperationOutcome } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError, MedplumProtocolError } from '../errors/response.errors';
import { type BaseUrl, pathWithin } from '../http/base-url';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { ACCEPT, ROOT } from './interactions';
import { checkId, checkResourceType } from './path-segments';
import { isFhirId } from '../http/fhir-id';

/** What is exported. */
export interface ExportInput {
  /** Default `system`: everything that the identity may see. `patient`: all patients; else the id of a Group. */
  readonly level?: 'system' | 'patient' | { readonly group: string };
  /** Only resources of these types. */
  readonly types?: readonly string[];
  /** Only what was changed since then: an instant. */
  readonly since?: string;
}

/** What an export wrote. */
export interface ExportManifest {
  /** As of when. */
  readonly transactionTime?: string;
  /** One file of NDJSON each. The addresses are signed: treat them as secrets. */
  readonly output: readonly { readonly type: string; readonly url: string }[];
  /** Files of OperationOutcomes. */
  readonly error?: readonly { readonly type: string; readonly url: string }[];
}

/** What the events of jobs say when their arguments are refused. */
export const JOB = {
  export: { action: 'operation', method: 'GET', pathTemplate: `/${ROOT}/$export` },
  status: { action: 'read', method: 'GET', pathTemplate: `/${ROOT}/job/{id}/status` },
  cancel: { action: 'delete', method: 'DELETE', pathTemplate: `/${ROOT}/job/{id}` },
} as const satisfies Record<string, FhirInteraction>;

/** GET `$export`. It starts a job each time, so it is not repeated. */
export function startExport({ level = 'system', types, since }: ExportInput): FhirRequest {
  const query = new URLSearchParams();
  if (types !== undefined) {
    if (!Array.isArray(types) || types.length === 0) {
      throw new MedplumBadRequestError('types of an export must be a list of at least one resource type.');
    }
    query.set('_type', types.map(checkResourceType).join(','));
  }
  if (since !== undefined) {
    query.set('_since', since);
  }
  const group = typeof level === 'object' && level !== null ? checkId(level.group, 'id of the Group') : undefined;
  if (group === undefined && level !== 'system' && level !== 'patient') {
    throw new MedplumBadRequestError("The level of an export is 'system', 'patient' or { group: id }.");
  }
  const on = group === undefined ? (level === 'patient' ? '/Patient' : '') : '/Group';
  return {
    ...JOB.export,
    path: `${ROOT}${on}${group === undefined ? '' : `/${group}`}/$export`,
    pathTemplate: `/${ROOT}${on}${group === undefined ? '' : '/{id}'}/$export`,
    query: query.toString(),
    operation: '$export',
    headers: { ...ACCEPT, prefer: 'respond-async' },
    repeatability: 'unsafe',
  };
}

/** Where a job is asked about: `fhir/R4/job/[id]/status` or `fhir/R4/bulkdata/export/[id]`. */
const JOB_PATH = /^fhir\/R4\/(job|bulkdata\/export)\/([^/?#]+)(?:\/status)?$/;

/**
 * The path of a job, from its id or from the address that the server gave for it.
 *
 * @throws MedplumProtocolError for an address on another server, or of something that is no job.
 */
export function jobPath(job: unknown, base: BaseUrl): string {
  if (isFhirId(job)) {
    return `${ROOT}/job/${job}/status`;
  }
  const [path, , id] = (typeof job === 'string' && JOB_PATH.exec(pathWithin(base, job) ?? '')) || [];
  if (path === undefined || !isFhirId(id)) {
    throw new MedplumProtocolError('A job must be an id, or the address of a job on the server of the client.');
  }
  return path;
}

/** Where the job is that an answer of 202 has started. */
export function startedJob(location: string | undefined, body: unknown, base: BaseUrl): string {
  const { issue } = (body ?? {}) as Partial<OperationOutcome>;
  return jobPath(location ?? issue?.[0]?.diagnostics, base);
}

/** GET of the state of a job. */
export function jobStatus(path: string): FhirRequest {
  const id = JOB_PATH.exec(path)?.[2] ?? '';
  return {
    ...JOB.status,
    path,
    pathTemplate: `/${path.replace(/(job|export)\/[^/]+/, '$1/{id}')}`,
    query: '',
    resourceId: id,
    headers: ACCEPT,
    repeatability: 'safe',
  };
}

/** DELETE of a job that has not ended. */
export function cancelJob(job: unknown, base: BaseUrl): FhirRequest {
  const path = jobPath(job, base).replace(/\/status$/, '');
  const request = jobStatus(path);
  return { ...request, ...JOB.cancel, pathTemplate: request.pathTemplate, repeatability: 'unsafe' };
}

/** Whether a job has come to its end. */
export function isFinished({ status }: AsyncJob): boolean {
  return status === 'completed' || status === 'error' || status === 'cancelled' || (status as string) === 'stopped';
}
