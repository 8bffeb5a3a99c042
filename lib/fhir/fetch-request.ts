import { Readable } from 'node:stream';
import type { Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import type { MedplumHeaders } from '../http/caller-headers';
import { objects } from '../http/objects';
import type { BaseUrl } from '../http/base-url';
import type { FhirRequest } from './fhir-request';
import { pathTemplateOf, rawAction, type RawMethod, rawPath } from './raw';

const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);

function isOurs(pair: unknown): boolean {
  return Array.isArray(pair) && /^x-medplum$/i.test(String(pair[0]));
}

/** The headers that a caller of `fetch` gives, without `X-Medplum`: `@medplum/core` always sends its own. */
export function fetchHeaders(given: MedplumHeaders): MedplumHeaders {
  if (typeof given !== 'object' || given === null) {
    return given;
  }
  // What is no pair is left in: it is refused with the headers of every other call.
  return [...(Symbol.iterator in given ? given : Object.entries(given))].filter((pair) => !isOurs(pair));
}

/** The method of a `fetch`. */
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

/** A client that batches by itself puts the reads of several callers into one bundle, and so under one identity. */
function refuseAutoBatch(body: unknown): void {
  let bundle: Partial<Bundle>;
  try {
    bundle = JSON.parse(typeof body === 'string' ? body : '') as Partial<Bundle>;
  } catch {
    return;
  }
  const entries = objects(bundle?.entry);
  if (bundle?.type === 'batch' && entries.every(({ request }) => request?.method === 'GET')) {
    throw new MedplumBadRequestError(
      'A batch of nothing but GETs is what automatic batching of @medplum/core sends: it mixes callers. ' +
        'Set autoBatchTime: 0 (coreClientOptions()), or use executeBatch(). Nothing was sent.',
    );
  }
}

/** A `fetch` of a path below the base URL, as the server's answer, whatever it is. */
export function fetchRequest(address: unknown, method: unknown, body: unknown, base: BaseUrl): FhirRequest {
  const name = fetchMethod(method);
  const { path, query } = rawPath(address instanceof URL ? address.href : address, base);
  const action = rawAction(name, path);
  if (action === 'batch') {
    refuseAutoBatch(body);
  }
  return {
    action,
    method: name,
    path,
    pathTemplate: pathTemplateOf(path),
    query,
    headers: {},
    ...bodyOf(body),
    answer: 'stream',
    notModified: true,
    repeatability: name === 'GET' ? 'safe' : 'unsafe',
  };
}
