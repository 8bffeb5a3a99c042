import { Readable } from 'node:stream';
import type { BundleEntry } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import type { BaseUrl } from '../shared/base-url';
import type { FhirRequest } from './fhir-request';
import { type RawMethod, rawTarget } from './raw';

const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);

/** Options that the standard and `@medplum/core` put into the second argument of `fetch`, and that do nothing here. */
export const IGNORED_FETCH_OPTIONS = (
  'method body cache credentials duplex integrity keepalive mode priority redirect referrer referrerPolicy window ' +
  'followRedirectOnOk followRedirectOnCreated pollStatusOnAccepted pollStatusPeriod maxRetries maxRetryTime disableAutoBatch'
).split(' ');

/** @throws MedplumBadRequestError unless `method` is one of the methods that `fetch` supports. Default `GET`. */
export function fetchMethod(method: unknown): RawMethod {
  const name = method === undefined ? 'GET' : typeof method === 'string' ? method.toUpperCase() : '';
  if (!METHODS.has(name)) {
    throw new MedplumBadRequestError('fetch() takes the methods GET, POST, PUT, PATCH and DELETE.');
  }
  return name as RawMethod;
}

function bodyOf(body: unknown): Pick<FhirRequest, 'body' | 'once'> {
  if (body === undefined || body === null) {
    return {};
  }
  if (typeof body === 'string' || body instanceof Uint8Array) {
    return { body };
  }
  if (body instanceof URLSearchParams) {
    return { body: body.toString() };
  }
  if (body instanceof ArrayBuffer) {
    return { body: new Uint8Array(body) };
  }
  const stream: unknown = body instanceof Blob ? body.stream() : body;
  if (stream instanceof globalThis.ReadableStream) {
    return { body: Readable.fromWeb(stream), once: true };
  }
  throw new MedplumBadRequestError(
    'The body of fetch() must be text, bytes, URLSearchParams, a Blob or a ReadableStream.',
  );
}

/**
 * Refuses the bundles of automatic batching: they mix reads of several callers, which would all run for one identity.
 */
function refuseAutoBatch(entries: readonly unknown[]): void {
  if (entries.every((entry) => (Object(entry) as BundleEntry).request?.method === 'GET')) {
    throw new MedplumBadRequestError(
      'The batch consists of GETs only, so it may come from the automatic batching of @medplum/core, which mixes the reads of several callers. ' +
        'Set autoBatchTime: 0, as coreClientOptions() does, or use executeBatch(). Nothing was sent.',
    );
  }
}

/** Describes a `fetch` of an address below the base URL. The response is passed on as it is, as a stream. */
export function fetchRequest(address: unknown, method: unknown, body: unknown, base: BaseUrl): FhirRequest {
  const name = fetchMethod(method);
  const target = rawTarget(name, address instanceof URL ? address.href : address, body, base);
  if (target.action === 'batch' && target.entries) {
    refuseAutoBatch(target.entries);
  }
  return {
    ...target,
    headers: {},
    ...bodyOf(body),
    responseKind: 'stream',
    // Only a GET can be conditional on what the caller has (RFC 9110 section 15.4.5).
    ...(name === 'GET' ? { notModified: true } : {}),
  };
}
