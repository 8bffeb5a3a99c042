import type { Resource, ResourceType } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import type { MedplumRequestOptions, MedplumService, PatchOperation } from 'nestjs-medplum';

/** A recorded request with all placeholders replaced. */
export interface FilledRequest {
  readonly method: string;
  /** Relative to the base URL. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** One way to make a recorded request with the library. */
export interface LibraryCall {
  /** `read`, `raw`, … : what the test's name shows. */
  readonly kind: string;
  /** Whether the method promises a resource or a bundle, and gives the body of the response unchanged. */
  readonly isTyped: boolean;
  run(medplum: MedplumService, options: MedplumRequestOptions): Promise<unknown>;
}

const TYPE = '([A-Z][A-Za-z]+)';
const ID = '([\\da-fA-F]{8}(?:-[\\da-fA-F]{4}){3}-[\\da-fA-F]{12})';
const at = (path: string): RegExp => new RegExp(`^fhir/R4${path}$`);

const ROOT = at('');
const GRAPHQL = at('/\\$graphql');
const ON_TYPE = at(`/${TYPE}`);
const SEARCH = at(`/${TYPE}\\?(.+)`);
const INSTANCE = at(`/${TYPE}/${ID}`);
const HISTORY = at(`/${TYPE}/${ID}/_history`);
const VERSION = at(`/${TYPE}/${ID}/_history/${ID}`);

const typed = (kind: string, run: LibraryCall['run']): LibraryCall => ({ kind, isTyped: true, run });

/** The method of the service that is made for the request, if there is one. */
export function typedCall(request: FilledRequest): LibraryCall | undefined {
  const call = madeFor(request);
  const headers = withoutOwn(request);
  return call && { ...call, run: (medplum, options) => call.run(medplum, { ...options, headers }) };
}

function madeFor(request: FilledRequest): LibraryCall | undefined {
  const { method, path, body } = request;
  const headers = withoutOwn(request);
  const names = Object.keys(headers).map((name) => name.toLowerCase());
  // The typed methods set these themselves. A Binary in FHIR's JSON is another response than the file.
  if (
    names.some((name) => ['content-type', 'if-match', 'if-none-exist', 'accept'].includes(name)) ||
    path.startsWith('fhir/R4/Binary')
  ) {
    return undefined;
  }
  const match = (pattern: RegExp): readonly [ResourceType, string, string] | undefined => {
    const [, type, second = '', third = ''] = pattern.exec(path) ?? [];
    return type === undefined ? undefined : [type as ResourceType, second, third];
  };
  const resource = asResource(body);
  const found = {
    instance: match(INSTANCE),
    search: match(SEARCH),
    type: match(ON_TYPE),
    history: match(HISTORY),
    version: match(VERSION),
  };
  if (method === 'GET') {
    return reading(found);
  }
  if (method === 'POST' && path.search(ROOT) === 0 && resource?.resourceType === 'Bundle') {
    return typed('executeBatch', (medplum, options) => medplum.executeBatch(resource, options));
  }
  if (method === 'POST' && GRAPHQL.test(path)) {
    return graphql(body);
  }
  if (method === 'POST' && found.type && resource?.resourceType === found.type[0]) {
    return typed('createResource', (medplum, options) => medplum.createResource(resource, options));
  }
  return writing(method, found, resource, body);
}

interface Found {
  readonly instance: readonly [ResourceType, string, string] | undefined;
  readonly search: readonly [ResourceType, string, string] | undefined;
  readonly type: readonly [ResourceType, string, string] | undefined;
  readonly history: readonly [ResourceType, string, string] | undefined;
  readonly version: readonly [ResourceType, string, string] | undefined;
}

function reading({ instance, search, type, history, version }: Found): LibraryCall | undefined {
  if (instance) {
    return typed('readResource', (medplum, options) => medplum.readResource(instance[0], instance[1], options));
  }
  if (search) {
    return typed('search', (medplum, options) => medplum.search(search[0], search[1], options));
  }
  if (type) {
    return typed('search', (medplum, options) => medplum.search(type[0], {}, options));
  }
  if (history) {
    return typed('readHistory', (medplum, options) => medplum.readHistory(history[0], history[1], options));
  }
  return version && typed('readVersion', (medplum, options) => medplum.readVersion(...version, options));
}

function writing(
  method: string,
  { instance, search }: Found,
  resource: Resource | undefined,
  body: unknown,
): LibraryCall | undefined {
  if (method === 'PUT' && instance && resource?.resourceType === instance[0] && resource.id === instance[1]) {
    return typed('updateResource', (medplum, options) =>
      medplum.updateResource(resource, { ...options, ifMatch: false }),
    );
  }
  if (method === 'PUT' && search && resource?.resourceType === search[0]) {
    return typed('upsertResource', (medplum, options) => medplum.upsertResource(resource, search[1], options));
  }
  if (method === 'PATCH' && Array.isArray(body) && (instance ?? search)) {
    const operations = body as PatchOperation[];
    return instance
      ? typed('patchResource', (medplum, options) =>
          medplum.patchResource(instance[0], instance[1], operations, options),
        )
      : search &&
          typed('conditionalPatch', (medplum, options) =>
            medplum.conditionalPatch(search[0], search[1], operations, options),
          );
  }
  if (method === 'DELETE' && instance) {
    return {
      ...typed('deleteResource', (medplum, options) => medplum.deleteResource(instance[0], instance[1], options)),
      isTyped: false,
    };
  }
  return method === 'DELETE' && search
    ? {
        ...typed('conditionalDelete', (medplum, options) => medplum.conditionalDelete(search[0], search[1], options)),
        isTyped: false,
      }
    : undefined;
}

function graphql(body: unknown): LibraryCall | undefined {
  const { query, variables, operationName, ...rest } = Object(body) as Record<string, unknown>;
  if (typeof query !== 'string' || Object.keys(rest).length > 0) {
    return undefined;
  }
  const more = {
    ...(variables ? { variables: variables as Record<string, unknown> } : {}),
    ...(typeof operationName === 'string' ? { operationName } : {}),
  };
  return { ...typed('graphql', (medplum, options) => medplum.graphql(query, { ...options, ...more })), isTyped: false };
}

/** The raw method for the request. `undefined` for methods that the library does not send. */
export function rawCall(request: FilledRequest): LibraryCall | undefined {
  const { method, path } = request;
  if (method === 'GET' && path.startsWith('fhir/R4/Binary/')) {
    // The raw methods ask for FHIR's JSON.
    return undefined;
  }
  const isOwn = typeof request.body === 'object' && !('content-type' in withoutOwn(request));
  const body = isOwn || request.body === undefined ? request.body : textOf(request.body);
  const headers = isOwn ? withoutOwn(request) : contentTyped(request);
  const calls: Readonly<Record<string, LibraryCall['run']>> = {
    GET: (medplum, options) => medplum.get(path, { ...options, headers }),
    POST: (medplum, options) => medplum.post(path, body, { ...options, headers }),
    PUT: (medplum, options) => medplum.put(path, body, { ...options, headers }),
    PATCH: (medplum, options) => medplum.patch(path, body, { ...options, headers }),
    DELETE: (medplum, options) => medplum.delete(path, { ...options, headers }),
  };
  const run = calls[method];
  return run && (body === undefined || !['GET', 'DELETE'].includes(method))
    ? { kind: 'raw', isTyped: false, run }
    : undefined;
}

/** The headers without the content type that the library sends for a body by itself. */
function withoutOwn({ method, headers }: FilledRequest): Readonly<Record<string, string>> {
  const own = method === 'PATCH' ? 'application/json-patch+json' : 'application/fhir+json';
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name, value]) => name.toLowerCase() !== 'content-type' || value !== own)
      .map(([name, value]) => [name.toLowerCase(), value]),
  );
}

/** As the recorder of the cases sent a body without a content type. */
function contentTyped({ headers, body }: FilledRequest): Readonly<Record<string, string>> {
  const isNamed = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type');
  return body === undefined || isNamed ? headers : { 'content-type': 'application/fhir+json', ...headers };
}

const textOf = (body: unknown): string => (typeof body === 'string' ? body : JSON.stringify(body));

function asResource(body: unknown): Resource | undefined {
  const { resourceType } = Object(body) as { resourceType?: unknown };
  return typeof resourceType === 'string' && typeof body === 'object' ? (body as Resource) : undefined;
}

/** `fetch` for the request. Resolves to what the caller sees of the response. */
export function fetchCall(request: FilledRequest): LibraryCall | undefined {
  const { method, path, body } = request;
  if (body !== undefined && method === 'GET') {
    return undefined;
  }
  const headers = contentTyped(request);
  const text = body === undefined ? {} : { body: textOf(body) };
  return {
    kind: 'fetch',
    isTyped: false,
    run: async (medplum, options) => {
      const address = `${medplum.coreClientOptions().baseUrl}${path}`;
      const response = await medplum.fetch(address, { ...options, method, headers, ...text });
      return { status: response.status, text: await response.text(), etag: response.headers.get('etag') };
    },
  };
}
