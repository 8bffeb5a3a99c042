import type { AsyncJob, OperationOutcome } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError, MedplumProtocolError } from '../errors/response.errors';
import { type BaseUrl, pathWithin } from '../shared/base-url';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { ACCEPT, ROOT } from './interactions';
import { objects } from '../shared/objects';
import { isFhirId } from '../shared/fhir-id';
import { checkId, checkResourceTypes } from './path-segments';

/** What to export. */
export interface ExportInput {
  /**
   * `system`: everything that the identity may see. `patient`: the data of all patients. `{ group }`: the data of the
   * members of the Group with that id. Default `system`.
   */
  readonly level?: 'system' | 'patient' | { readonly group: string };
  /** Types of the resources to export. Default: all types. */
  readonly types?: readonly string[];
  /** Exports only resources that changed since this instant (FHIR `instant`). */
  readonly since?: string;
}

/** The files that an export wrote. */
export interface ExportManifest {
  /** The instant that the export shows the data of. */
  readonly transactionTime?: string;
  /** The exported files, each of NDJSON and of one type. The addresses may be signed: treat them as secrets. */
  readonly output: readonly { readonly type: string; readonly url: string }[];
  /** Files with the OperationOutcomes of what could not be exported. */
  readonly error?: readonly { readonly type: string; readonly url: string }[];
}

/** What the events of job calls record when the arguments are refused. */
export const JOB = {
  export: { action: 'operation', method: 'GET', pathTemplate: `/${ROOT}/$export` },
  status: { action: 'read', method: 'GET', pathTemplate: `/${ROOT}/job/{id}/status` },
  cancel: { action: 'delete', method: 'DELETE', pathTemplate: `/${ROOT}/job/{id}/status` },
} as const satisfies Record<string, FhirInteraction>;

/** GET `$export`. Each request starts a job, so it counts as a write. */
export function startExport({ level = 'system', types, since }: ExportInput): FhirRequest {
  const query = new URLSearchParams();
  if (types !== undefined) {
    query.set('_type', checkResourceTypes(types, 'types of an export').join(','));
  }
  if (since !== undefined) {
    query.set('_since', since);
  }
  const { path, pathTemplate } = exportTarget(level);
  return {
    ...JOB.export,
    path: `${path}/$export`,
    pathTemplate: `/${pathTemplate}/$export`,
    query: query.toString(),
    operation: '$export',
    headers: { ...ACCEPT, prefer: 'respond-async' },
    repeatability: 'unsafe',
    respondAsync: true,
  };
}

/** The path that `$export` is called on. */
function exportTarget(level: ExportInput['level']): { readonly path: string; readonly pathTemplate: string } {
  if (level === 'system') {
    return { path: ROOT, pathTemplate: ROOT };
  }
  if (level === 'patient') {
    return { path: `${ROOT}/Patient`, pathTemplate: `${ROOT}/Patient` };
  }
  if (typeof level === 'object' && level !== null) {
    return { path: `${ROOT}/Group/${checkId(level.group, 'id of the Group')}`, pathTemplate: `${ROOT}/Group/{id}` };
  }
  throw new MedplumBadRequestError("The level of an export must be 'system', 'patient' or { group: id }.");
}

/** The address of a job, as the server writes it: `fhir/R4/job/[id]/status` or `fhir/R4/bulkdata/export/[id]`. */
const JOB_PATH = /^fhir\/R4\/(job|bulkdata\/export)\/([^/?#]+)(?:\/status)?$/;

/** A job on the client's server. */
export interface JobAddress {
  readonly id: string;
  /** An export has an address of its own, where the server lists its files. */
  readonly isExport: boolean;
}

/**
 * Reads what names a job.
 *
 * @param job the id of the job, or the address that the server gave for it.
 * @throws MedplumProtocolError when the address leads to another server, or to something other than a job.
 */
export function jobAddress(job: unknown, base: BaseUrl): JobAddress {
  if (isFhirId(job)) {
    return { id: job, isExport: false };
  }
  const [, kind, id] = (typeof job === 'string' && JOB_PATH.exec(pathWithin(base, job) ?? '')) || [];
  if (!isFhirId(id)) {
    throw new MedplumProtocolError(
      'A job must be given by its id, or by its address on the Medplum server of this client. If your server uses another address for itself, set the option publicUrl.',
    );
  }
  return { id, isExport: kind !== 'job' };
}

/**
 * Returns the job that a 202 response started, from its `Content-Location` or its body.
 *
 * @throws MedplumProtocolError when the response names no job on the client's server.
 */
export function startedJob(location: string | undefined, body: unknown, base: BaseUrl): JobAddress {
  const { issue } = Object(body) as Partial<OperationOutcome>;
  return jobAddress(location ?? objects(issue)[0]?.diagnostics, base);
}

/** GET of the files of an export. As long as it runs, the server responds with 202 and no body. */
export function exportManifest({ id }: JobAddress): FhirRequest {
  return jobRequest(JOB.status, `bulkdata/export/${id}`, id);
}

/**
 * GET of a job's state, an AsyncJob. Every job has it, exports too. Medplum responds with 202 as long as the job runs, and
 * for ever if it was cancelled.
 */
export function jobStatus({ id }: JobAddress): FhirRequest {
  return jobRequest(JOB.status, `job/${id}/status`, id);
}

/** DELETE of a job that has not finished. */
export function cancelJob({ id, isExport }: JobAddress): FhirRequest {
  const request = jobRequest(JOB.cancel, isExport ? `bulkdata/export/${id}` : `job/${id}/status`, id);
  // For an export, the response is a word of plain text.
  return { ...request, responseKind: 'any', repeatability: 'unsafe' };
}

function jobRequest(interaction: FhirInteraction, path: string, id: string): FhirRequest {
  return {
    ...interaction,
    path: `${ROOT}/${path}`,
    pathTemplate: `/${ROOT}/${path.replace(/(job|export)\/[^/]+/, '$1/{id}')}`,
    query: '',
    resourceId: id,
    headers: ACCEPT,
    repeatability: 'safe',
  };
}

/** Whether a job has finished, successfully or not. */
export function isFinished({ status }: AsyncJob): boolean {
  return status === 'completed' || status === 'error' || status === 'cancelled' || (status as string) === 'stopped';
}
