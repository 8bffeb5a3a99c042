import { Readable } from 'node:stream';
import { MedplumBeforeRequestError } from './errors/before-request.error';
import { isMedplumError } from './errors/medplum.error';
import type { FhirRequest } from './fhir/fhir-request';
import { pathTemplateOf, rawAction, rawPath } from './fhir/raw';
import type { BaseUrl } from './http/base-url';
import { callerHeaders } from './http/caller-headers';
import { isThenable } from './on-behalf-of/is-thenable';

/**
 * A request as the `beforeRequest` option gets it: whole, but for the credentials and the identity, which are nowhere in
 * it. What is not read-only may be changed in place.
 */
export interface MedplumPreparedRequest {
  /** Name of the client; `default` for the unnamed one. */
  readonly client: string;
  /** HTTP method. */
  readonly method: string;
  /** Path with `{id}` in place of ids, e.g. `/fhir/R4/Patient/{id}`. */
  readonly pathTemplate: string;
  /** Path below the base URL, with its query, encoded. PHI. May be set to another one below the base URL. */
  path: string;
  /** By lower-case name. Those that the library owns, and those of the connection, are an error. */
  headers: Record<string, string>;
  /** What is sent: JSON as text; `undefined` when there is no body. PHI. A bundle keeps its number of entries. */
  body: string | Uint8Array | Readable | undefined;
}

/**
 * Sees each request before it is first sent; retries send the same. It runs in the async context of the caller and
 * within the timeout of the call. What it throws ends the call with `MedplumBeforeRequestError`, and nothing is sent.
 */
export type MedplumBeforeRequest = (prepared: MedplumPreparedRequest) => void | Promise<void>;

/** @internal A described request, with all its headers but those of the library. */
export interface DescribedRequest {
  readonly request: FhirRequest;
  readonly headers: Readonly<Record<string, string>>;
}

/** @internal The client that makes the request. */
export interface BeforeRequestClient {
  readonly name: string;
  readonly baseUrl: BaseUrl;
}

/**
 * @internal The request as the hook leaves it: at once, unless the hook takes its time.
 *
 * @throws MedplumBeforeRequestError
 */
export function beforeRequest(
  hook: MedplumBeforeRequest,
  described: DescribedRequest,
  client: BeforeRequestClient,
): DescribedRequest | Promise<DescribedRequest> {
  const { request, headers } = described;
  const prepared: MedplumPreparedRequest = {
    client: client.name,
    method: request.method,
    pathTemplate: request.pathTemplate,
    path: addressOf(request),
    headers: { ...headers },
    body: request.body ?? undefined,
  };
  for (const key of ['client', 'method', 'pathTemplate']) {
    Object.defineProperty(prepared, key, { writable: false });
  }
  // A key that is none, `onBehalfOf` for one, would be lost without a word.
  Object.seal(prepared);
  const read = (answer: unknown): DescribedRequest => {
    // An assignment as the body of an arrow function returns its value; a request that is returned would be lost.
    if (answer !== prepared && ['path', 'headers', 'body'].some((key) => key in Object(answer))) {
      throw refusal('returned a request: it is to change the one that it gets');
    }
    return changed(described, prepared, client.baseUrl);
  };
  let answer: unknown;
  try {
    answer = hook(prepared);
  } catch (cause) {
    throw thrown(cause);
  }
  if (!isThenable(answer)) {
    return read(answer);
  }
  return Promise.resolve(answer).then(read, (cause: unknown) => {
    throw thrown(cause);
  });
}

function changed(
  { request, headers: before }: DescribedRequest,
  prepared: MedplumPreparedRequest,
  baseUrl: BaseUrl,
): DescribedRequest {
  const headers = allowed(() => callerHeaders(prepared.headers));
  const { body } = prepared;
  const isMoved = prepared.path !== addressOf(request);
  const isRewritten = body !== request.body;
  const isSame = !isMoved && !isRewritten && Object.entries(before).every(([name, value]) => headers[name] === value);
  if (isSame) {
    return { request, headers };
  }
  const moved = isMoved ? movedTo(request, prepared.path, baseUrl) : request;
  // What may be repeated was found out of the request as it was.
  const isSafe = request.repeatability === 'safe' && (request.method === 'GET' || moved.path === request.path);
  const described = { ...moved, repeatability: isSafe ? 'safe' : 'unsafe' } as const;
  return { request: isRewritten ? rewritten(described, body) : described, headers };
}

function addressOf({ path, query }: FhirRequest): string {
  return query === '' ? `/${path}` : `/${path}?${query}`;
}

function movedTo(request: FhirRequest, address: unknown, baseUrl: BaseUrl): FhirRequest {
  const { path, query } = allowed(() => rawPath(address, baseUrl));
  if (path === request.path) {
    return { ...request, query };
  }
  // It is another resource, or none at all: what the event says of it is what is known of any path.
  const { resourceType: _type, resourceId: _id, operation: _operation, entries: _entries, ...rest } = request;
  return { ...rest, action: rawAction(request.method, path), path, pathTemplate: pathTemplateOf(path), query };
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

/** The caller, and the audit event, tell the entries of the answer apart by their number. */
function entriesOf(body: string | Uint8Array | Readable, count: number): readonly unknown[] {
  let entries: unknown;
  try {
    entries = (JSON.parse(body as string) as { entry?: unknown } | null)?.entry;
  } catch {
    entries = undefined;
  }
  if (!Array.isArray(entries) || entries.length !== count) {
    throw refusal('changed the number of entries of a bundle');
  }
  return entries;
}

/** What `check` answers; its refusal is one of the hook. */
function allowed<T>(check: () => T): T {
  try {
    return check();
  } catch (cause) {
    throw refusal(isMedplumError(cause) ? `made a request that cannot be sent. ${cause.message}` : 'failed', cause);
  }
}

function refusal(what: string, cause?: unknown): MedplumBeforeRequestError {
  const text = `The beforeRequest option ${what.replace(/ Nothing was sent\.$|\.$/, '')}. Nothing was sent.`;
  return new MedplumBeforeRequestError(text, { cause });
}

function thrown(cause: unknown): MedplumBeforeRequestError {
  return new MedplumBeforeRequestError('The beforeRequest option threw. Nothing was sent; cause has its name.', {
    cause,
  });
}
