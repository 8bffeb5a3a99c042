import { Readable } from 'node:stream';
import { MedplumBeforeRequestError } from '../errors/before-request.error';
import { isMedplumError } from '../errors/medplum.error';
import type { FhirRequest } from '../fhir/fhir-request';
import { rawTarget } from '../fhir/raw';
import type { BaseUrl } from '../shared/base-url';
import { callerHeaders } from './caller-headers';
import { isThenable } from '../shared/is-thenable';

/**
 * A request as the `beforeRequest` option sees it: everything except the credentials and the identity. Change what is not
 * read-only in place.
 */
export interface MedplumPreparedRequest {
  /** Name of the client; `default` for the unnamed one. */
  readonly client: string;
  /** HTTP method. */
  readonly method: string;
  /** Path with `{id}` in place of ids, e.g. `/fhir/R4/Patient/{id}`. */
  readonly pathTemplate: string;
  /** Path below the base URL, with its query, encoded. PHI. You may set another path below the base URL. */
  path: string;
  /** By lower-case name. Setting a header that the library or the connection owns is an error. */
  headers: Record<string, string>;
  /** The body: JSON as text; `undefined` when there is none. PHI. A bundle must keep its number of entries. */
  body: string | Uint8Array | Readable | undefined;
}

/**
 * Runs just before a request is sent for the first time; retries send the same request. It runs in the async context of
 * the caller and within the timeout of the call. When it throws, the call fails with `MedplumBeforeRequestError` and
 * nothing is sent.
 */
export type MedplumBeforeRequest = (prepared: MedplumPreparedRequest) => void | Promise<void>;

/**
 * @internal The request as the hook leaves it: at once, unless the hook returns a promise.
 *
 * @throws MedplumBeforeRequestError
 */
export function beforeRequest(
  hook: MedplumBeforeRequest,
  request: FhirRequest,
  client: string,
  baseUrl: BaseUrl,
): FhirRequest | Promise<FhirRequest> {
  const prepared: MedplumPreparedRequest = {
    client,
    method: request.method,
    pathTemplate: request.pathTemplate,
    path: addressOf(request),
    headers: { ...request.headers },
    body: request.body ?? undefined,
  };
  for (const key of ['client', 'method', 'pathTemplate']) {
    Object.defineProperty(prepared, key, { writable: false });
  }
  // Sealed: setting an unknown key, such as `onBehalfOf`, throws instead of being ignored.
  Object.seal(prepared);
  const read = (result: unknown): FhirRequest => {
    // An arrow function with an assignment as its body returns the value, and that is fine. A returned request is not.
    if (result !== prepared && ['path', 'headers', 'body'].some((key) => key in Object(result))) {
      throw refusal('returned a request. It has to change the one that it is given');
    }
    return changed(request, prepared, baseUrl);
  };
  let result: unknown;
  try {
    result = hook(prepared);
  } catch (cause) {
    throw thrown(cause);
  }
  if (!isThenable(result)) {
    return read(result);
  }
  return Promise.resolve(result).then(read, (cause: unknown) => {
    throw thrown(cause);
  });
}

function changed(request: FhirRequest, prepared: MedplumPreparedRequest, baseUrl: BaseUrl): FhirRequest {
  const headers = allowed(() => callerHeaders(prepared.headers));
  const { body } = prepared;
  const isMoved = prepared.path !== addressOf(request);
  const isRewritten = body !== request.body;
  const isSame =
    !isMoved && !isRewritten && Object.entries(request.headers).every(([name, value]) => headers[name] === value);
  if (isSame) {
    return { ...request, headers };
  }
  const moved = isMoved ? movedTo(request, prepared.path, baseUrl) : request;
  // Whether it may be repeated was decided for the request as it was.
  const isAsDecided = moved.path === request.path && !isRewritten;
  const isSafe =
    request.repeatability === 'safe' &&
    (isAsDecided || allowed(() => rawTarget(request.method, prepared.path, body, baseUrl)).repeatability === 'safe');
  const described = { ...moved, headers, repeatability: isSafe ? 'safe' : 'unsafe' } as const;
  return isRewritten ? rewritten(described, body) : described;
}

function addressOf({ path, query }: FhirRequest): string {
  return query === '' ? `/${path}` : `/${path}?${query}`;
}

function movedTo(request: FhirRequest, address: unknown, baseUrl: BaseUrl): FhirRequest {
  const target = allowed(() => rawTarget(request.method, address, request.body, baseUrl));
  if (target.path === request.path) {
    return { ...request, query: target.query };
  }
  // It is another resource, or none at all: the event says what it says of any raw path.
  const { resourceType: _type, resourceId: _id, operation: _operation, entries: _entries, ...rest } = request;
  return { ...rest, ...target };
}

function rewritten(request: FhirRequest, body: unknown): FhirRequest {
  const { body: _body, eventQuery, once: _once, entries, ...rest } = request;
  const isText = typeof body === 'string';
  if (body === undefined) {
    return rest;
  }
  if (!isText && !(body instanceof Uint8Array) && !(body instanceof Readable)) {
    throw refusal('set a body that is neither text nor bytes nor a stream');
  }
  return {
    ...rest,
    body,
    ...(body instanceof Readable ? { once: true } : {}),
    ...(eventQuery !== undefined && isText ? { eventQuery: body } : {}),
    ...(entries ? { entries: entriesOf(body, entries.length) } : {}),
  };
}

/** The caller and the audit event match the entries of the response to these by their position. */
function entriesOf(body: string | Uint8Array | Readable, count: number): readonly unknown[] {
  let entries: unknown;
  try {
    const text = body instanceof Uint8Array ? Buffer.from(body).toString() : (body as string);
    entries = (JSON.parse(text) as { entry?: unknown } | null)?.entry;
  } catch {
    entries = undefined;
  }
  if (!Array.isArray(entries) || entries.length !== count) {
    throw refusal('changed the number of entries of a bundle');
  }
  return entries;
}

/** The result of `check`. When it refuses, the hook is to blame. */
function allowed<T>(check: () => T): T {
  try {
    return check();
  } catch (cause) {
    throw refusal(isMedplumError(cause) ? `made a request that cannot be sent. ${cause.message}` : 'failed', cause);
  }
}

function refusal(what: string, cause?: unknown): MedplumBeforeRequestError {
  const text = `The beforeRequest option ${what.replace(/\.(?: Nothing was sent\.)?$/, '')}. Nothing was sent.`;
  return new MedplumBeforeRequestError(text, { cause });
}

function thrown(cause: unknown): MedplumBeforeRequestError {
  return new MedplumBeforeRequestError('The beforeRequest option threw. Nothing was sent; cause has its name.', {
    cause,
  });
}
