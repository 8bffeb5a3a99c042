import type { Bundle, BundleEntry, OperationOutcome, Resource } from '@medplum/fhirtypes' with {
  'resolution-mode': 'import',
};
import { MedplumTransactionError } from '../errors/transaction.error';
import type { MedplumError } from '../errors/medplum.error';
import { MedplumBadRequestError, MedplumProtocolError, MedplumRateLimitError } from '../errors/response.errors';
import { objects } from '../shared/objects';
import { longestWait, msBeforeNext } from '../shared/rate-limit';
import type { FhirRequest } from './fhir-request';
import { batch, create, createIfNoneExist, type IfMatch, patch, read, remove, ROOT, update } from './interactions';
import { type ProvenanceFacts, withProvenance } from './provenance';
import type { PatchOperation } from './resource.types';
import { search } from './search';
import type { SearchQuery } from './search-query';

/** An entry of a batch or transaction. */
export type RequestEntry = BundleEntry & { readonly request: NonNullable<BundleEntry['request']> };

type Request = RequestEntry['request'];

function entry(request: FhirRequest, more: Partial<Request>, resource?: Resource): RequestEntry {
  const url = request.path.slice(ROOT.length + 1) + (request.query === '' ? '' : `?${request.query}`);
  return { ...(resource ? { resource } : {}), request: { method: request.method, url, ...more } };
}

/** Makes the entries of a batch or transaction, and checks their arguments as the calls of the same name do. */
export const bundleEntry = {
  /**
   * Creates a resource. Other entries can refer to it by `fullUrl`, a `urn:uuid:…`. With `ifNoneExist`, the server
   * creates it only if no resource matches that query.
   */
  create(
    resource: Resource,
    more: { readonly fullUrl?: string; readonly ifNoneExist?: SearchQuery } = {},
  ): RequestEntry {
    const { fullUrl, ifNoneExist } = more;
    const request = ifNoneExist === undefined ? create(resource) : createIfNoneExist(resource, ifNoneExist);
    const condition = request.headers['if-none-exist'];
    const made = entry(request, condition === undefined ? {} : { ifNoneExist: condition }, resource);
    return fullUrl === undefined ? made : { fullUrl, ...made };
  },

  /** Updates a resource, provided that its version has not changed. `ifMatch` works as in `updateResource`. */
  update(resource: Resource, more: { readonly ifMatch?: IfMatch } = {}): RequestEntry {
    const request = update(resource, more.ifMatch);
    const ifMatch = request.headers['if-match'];
    return entry(request, ifMatch === undefined ? {} : { ifMatch }, resource);
  },

  /** Changes parts of a resource. The entry carries the JSON Patch as a Binary (FHIR R4 section 3.1.0.11.3). */
  patch(resourceType: string, id: string, operations: readonly PatchOperation[]): RequestEntry {
    const request = patch(resourceType, id, operations);
    return entry(
      request,
      {},
      {
        resourceType: 'Binary',
        contentType: 'application/json-patch+json',
        data: Buffer.from(JSON.stringify(operations)).toString('base64'),
      },
    );
  },

  /** Deletes a resource. */
  delete: (resourceType: string, id: string): RequestEntry => entry(remove(resourceType, id), {}),

  /** Reads a resource. */
  read: (resourceType: string, id: string): RequestEntry => entry(read(resourceType, id), {}),

  /** Searches. The entry of the response holds the bundle that was found. */
  search: (resourceType: string, query?: SearchQuery): RequestEntry =>
    entry(search(resourceType, query, undefined, false), {}),
} as const;

/** The result of one entry. */
export interface EntryResult<T extends Resource = Resource> {
  /** Position of the entry in the bundle that was sent, from 0. */
  readonly index: number;
  /** HTTP status of the entry; 0 when the response has none. */
  readonly status: number;
  /** Whether the status is 2xx or 304. */
  readonly ok: boolean;
  /** The resource that was written, read or found. */
  readonly resource?: T;
  /** `Type/id` of the resource that was written. */
  readonly location?: string;
  /** Why the entry failed. It may quote stored values: PHI. */
  readonly outcome?: OperationOutcome;
}

/** Returns the result of each entry, in the order in which the entries were sent. */
export function entryResults<T extends Resource = Resource>(response: Bundle | undefined): EntryResult<T>[] {
  const { entry: list } = Object(response) as { entry?: unknown };
  // An entry that is not an object keeps its place: the entries of the response stand in the order of the request.
  return (Array.isArray(list) ? list : []).map((one: unknown, index) => {
    const { resource, response: answer } = Object(one) as BundleEntry;
    const { status: text, location, outcome } = Object(answer) as NonNullable<BundleEntry['response']>;
    const status = typeof text === 'string' ? Number(/^[1-5]\d\d\b/.exec(text)?.[0] ?? 0) : 0;
    return {
      index,
      status,
      ok: (status >= 200 && status < 300) || status === 304,
      ...(typeof resource === 'object' && resource !== null ? { resource: resource as T } : {}),
      ...(typeof location === 'string' ? { location } : {}),
      ...(outcome?.resourceType === 'OperationOutcome' ? { outcome } : {}),
    };
  });
}

/**
 * POST of a transaction. With `provenance`, a Provenance of what it writes is its last entry. A response of success with entries
 * that failed counts as an error.
 */
export function transaction(entries: readonly BundleEntry[] | Bundle, provenance?: ProvenanceFacts): FhirRequest {
  const given: unknown = Array.isArray(entries) ? entries : (entries as Bundle | undefined)?.entry;
  if (!Array.isArray(given)) {
    throw new MedplumBadRequestError('executeTransaction() takes a Bundle or a list of entries.');
  }
  const list = provenance ? withProvenance(given as BundleEntry[], provenance) : (given as BundleEntry[]);
  const bundle: Bundle = {
    ...(Array.isArray(entries) ? {} : (entries as Bundle)),
    resourceType: 'Bundle',
    type: 'transaction',
    entry: list,
  };
  return { ...batch(bundle), check: (body) => partialFailure(body as Bundle, list) };
}

function partialFailure(response: Bundle, sent: readonly BundleEntry[]): MedplumError | undefined {
  const results = entryResults(response);
  const isWrite = (index: number): boolean => sent[index]?.request?.method !== 'GET';
  const writes = sent.some((_entry, index) => isWrite(index));
  if (results.length !== sent.length || results.some(({ status }) => status === 0)) {
    return new MedplumProtocolError(
      `The response to the transaction does not say what became of each of its ${sent.length} entries. Read the resources before you send any entry again.`,
      { status: 200, effect: writes ? 'unknown' : 'none' },
    );
  }
  const failed = results.filter(({ ok }) => !ok).length;
  if (failed === 0) {
    return undefined;
  }
  const wrote = results.some(({ ok, index }) => ok && isWrite(index));
  const throttled = results.filter(({ status }) => status === 429);
  // A status below 300 or of a failed server does not say how far a write came.
  const unclear = results.some(({ ok, status, index }) => !ok && isWrite(index) && (status < 300 || status >= 500));
  if (throttled.length > 0 && !wrote && !unclear) {
    const waits = throttled.map(({ outcome }) => msBeforeNext(objects(outcome?.issue)[0]?.diagnostics));
    return new MedplumRateLimitError(
      `The transaction was not carried out: the quota of the client, shared by all its users, is used up (${throttled.length} of ${sent.length} entries). Nothing was written.`,
      { status: 200, effect: 'none', retryable: true, retryAfter: longestWait(waits) },
    );
  }
  return new MedplumTransactionError(
    `The transaction was carried out only in part: ${failed} of ${sent.length} entries failed, and what the others wrote stays. ` +
      'Medplum undoes it only in projects with the feature transaction-bundles. ' +
      'Look at error.response before you send any entry again.',
    { status: 200, effect: wrote ? 'happened' : unclear ? 'unknown' : 'none', response },
  );
}
