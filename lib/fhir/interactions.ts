import type { Bundle, Identifier, Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import { isFhirId } from '../shared/fhir-id';
import { objects } from '../shared/objects';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { checkId, checkResourceType } from './path-segments';
import type { PatchOperation } from './resource.types';
import { conditionQuery } from './search-query';

/** Path of the FHIR API below the base URL. */
export const ROOT = 'fhir/R4';
const FHIR_JSON = 'application/fhir+json';
/** Headers of a request without a body. */
export const ACCEPT = { accept: FHIR_JSON };
/** Headers of a request whose body is a FHIR resource. */
export const ACCEPT_AND_CONTENT_TYPE = { accept: FHIR_JSON, 'content-type': FHIR_JSON };
/** Headers of a request whose body is JSON, but not a FHIR resource. */
export const ACCEPT_AND_PLAIN_JSON = { accept: FHIR_JSON, 'content-type': 'application/json' };

/** The interactions. The event of a call whose arguments are refused records only this much. */
export const INTERACTIONS = {
  read: { action: 'read', method: 'GET', pathTemplate: `/${ROOT}/{type}/{id}` },
  vread: { action: 'vread', method: 'GET', pathTemplate: `/${ROOT}/{type}/{id}/_history/{version}` },
  history: { action: 'history', method: 'GET', pathTemplate: `/${ROOT}/{type}/{id}/_history` },
  search: { action: 'search', method: 'GET', pathTemplate: `/${ROOT}/{type}` },
  searchTypes: { action: 'search', method: 'GET', pathTemplate: `/${ROOT}` },
  create: { action: 'create', method: 'POST', pathTemplate: `/${ROOT}/{type}` },
  update: { action: 'update', method: 'PUT', pathTemplate: `/${ROOT}/{type}/{id}` },
  patch: { action: 'patch', method: 'PATCH', pathTemplate: `/${ROOT}/{type}/{id}` },
  delete: { action: 'delete', method: 'DELETE', pathTemplate: `/${ROOT}/{type}/{id}` },
  conditionalUpdate: { action: 'update', method: 'PUT', pathTemplate: `/${ROOT}/{type}` },
  conditionalPatch: { action: 'patch', method: 'PATCH', pathTemplate: `/${ROOT}/{type}` },
  conditionalDelete: { action: 'delete', method: 'DELETE', pathTemplate: `/${ROOT}/{type}` },
  batch: { action: 'batch', method: 'POST', pathTemplate: `/${ROOT}` },
} as const satisfies Record<string, FhirInteraction>;

/** The parts that all requests about one resource type share. */
export function onType(interaction: FhirInteraction, type: unknown) {
  const resourceType = checkResourceType(type);
  const { action, method } = interaction;
  return {
    action,
    method,
    pathTemplate: `/${ROOT}/${resourceType}`,
    path: `${ROOT}/${resourceType}`,
    query: '',
    resourceType,
  };
}

/** The parts that all requests about one resource share. */
export function onInstance(interaction: FhirInteraction, type: unknown, id: unknown) {
  const resourceType = checkResourceType(type);
  const resourceId = checkId(id, `id of the ${resourceType}`);
  const { action, method } = interaction;
  return {
    action,
    method,
    pathTemplate: `/${ROOT}/${resourceType}/{id}`,
    path: `${ROOT}/${resourceType}/${resourceId}`,
    query: '',
    resourceType,
    resourceId,
  };
}

/** @throws MedplumBadRequestError when `value` cannot be written as JSON; `what` names it in the message. */
export function json(value: unknown, what: string): string {
  try {
    return JSON.stringify(value);
  } catch {
    throw new MedplumBadRequestError(`The ${what} cannot be written as JSON. Look for a cycle or a BigInt.`);
  }
}

/** @throws MedplumBadRequestError unless `resource` is an object. */
export function checkResource(resource: unknown): asserts resource is Resource {
  if (typeof resource !== 'object' || resource === null || Array.isArray(resource)) {
    throw new MedplumBadRequestError('A resource must be an object with a resourceType.');
  }
}

/** GET `[type]/[id]`. */
export function read(type: string, id: string): FhirRequest {
  const { action, method, pathTemplate, path, query, resourceType, resourceId } = onInstance(
    INTERACTIONS.read,
    type,
    id,
  );
  // This is the most frequent call, and spreading the object would cost more than all the checks above.
  return {
    action,
    method,
    pathTemplate,
    path,
    query,
    resourceType,
    resourceId,
    headers: ACCEPT,
    repeatability: 'safe',
    expects: 'instance',
  };
}

/** POST `[type]`. The server chooses the id. */
export function create(resource: Resource): FhirRequest {
  checkResource(resource);
  return {
    ...onType(INTERACTIONS.create, resource.resourceType),
    headers: ACCEPT_AND_CONTENT_TYPE,
    body: json(resource, 'resource'),
    repeatability: 'unsafe',
    expects: 'resource',
  };
}

/** POST `[type]` with `If-None-Exist` (FHIR R4 section 3.1.0.8.1). */
export function createIfNoneExist(resource: Resource, query: unknown): FhirRequest {
  const condition = conditionQuery(query);
  const request = create(resource);
  return {
    ...request,
    headers: { ...request.headers, 'if-none-exist': condition },
    repeatability: isOwnIdentifier(condition, resource) ? 'once-by-identifier' : 'unsafe',
  };
}

/** Characters that a search reads as syntax (FHIR R4 section 3.1.1.4.0.1). A comma in an identifier would mean OR. */
const SEARCH_SYNTAX = /[,|$\\]/;

/**
 * Whether the condition is a single identifier with a system, and the resource has that identifier. The server then
 * finds the resource when the same create arrives again, so the request may be retried.
 */
function isOwnIdentifier(condition: string, resource: Resource): boolean {
  const [parameter, ...others] = new URLSearchParams(condition);
  if (!parameter || others.length > 0 || parameter[0] !== 'identifier') {
    return false;
  }
  const { identifier } = resource as { identifier?: Identifier | Identifier[] };
  return objects([identifier ?? []].flat()).some(
    ({ system, value }) =>
      system && value && !SEARCH_SYNTAX.test(system + value) && `${system}|${value}` === parameter[1],
  );
}

/**
 * How an update protects changes that others made. `true`: it fails unless the stored resource still has the version
 * `meta.versionId` (an update of a resource without one is not protected). A string: the same with that version.
 * `false`: it overwrites any version.
 */
export type IfMatch = boolean | string;

/**
 * The `If-Match` header of an update. Medplum silently ignores `*` and unquoted values, so `*` is refused and a version
 * is always sent as a weak entity tag.
 */
function ifMatchHeader(ifMatch: IfMatch, resource: Resource): Record<string, string> {
  if (ifMatch === false) {
    return {};
  }
  if (ifMatch === true) {
    const version = resource.meta?.versionId;
    return version === undefined ? {} : { 'if-match': `W/"${checkId(version, 'meta.versionId of the resource')}"` };
  }
  const version = typeof ifMatch === 'string' ? (/^(?:W\/)?"([^"]*)"$/.exec(ifMatch)?.[1] ?? ifMatch) : undefined;
  return { 'if-match': `W/"${checkId(version, 'version in the ifMatch option')}"` };
}

/** In extended mode, an update by an admin identity deletes the accounts of a resource if the new `meta` has none. */
export function wipesAccounts({ meta }: Resource): boolean {
  return meta !== undefined && meta !== null && !meta.accounts;
}

/** PUT `[type]/[id]`. */
export function update(resource: Resource, ifMatch: IfMatch = true): FhirRequest {
  checkResource(resource);
  return {
    ...onInstance(INTERACTIONS.update, resource.resourceType, resource.id),
    headers: { ...ACCEPT_AND_CONTENT_TYPE, ...ifMatchHeader(ifMatch, resource) },
    body: json(resource, 'resource'),
    repeatability: 'unsafe',
    expects: 'instance',
    ...(wipesAccounts(resource) ? { extended: false } : {}),
  };
}

/** The headers, the body and the repeatability of every patch. */
export function patchBody(operations: readonly PatchOperation[]) {
  if (!Array.isArray(operations) || operations.length === 0) {
    throw new MedplumBadRequestError('A patch must be a list of at least one JSON Patch operation.');
  }
  return {
    headers: { accept: FHIR_JSON, 'content-type': 'application/json-patch+json' },
    body: json(operations, 'patch'),
    repeatability: 'unsafe',
  } as const;
}

/** PATCH `[type]/[id]` with a JSON Patch. */
export function patch(type: string, id: string, operations: readonly PatchOperation[]): FhirRequest {
  return { ...onInstance(INTERACTIONS.patch, type, id), ...patchBody(operations), expects: 'instance' };
}

/** DELETE `[type]/[id]`. */
export function remove(type: string, id: string): FhirRequest {
  return { ...onInstance(INTERACTIONS.delete, type, id), headers: ACCEPT, repeatability: 'unsafe' };
}

/** POST of a batch or transaction bundle to the root. */
export function batch(bundle: Bundle): FhirRequest {
  checkResource(bundle);
  const { type } = bundle;
  if (bundle.resourceType !== 'Bundle' || (type !== 'batch' && type !== 'transaction')) {
    throw new MedplumBadRequestError('executeBatch() takes a Bundle of the type batch or transaction.');
  }
  if (!bundle.entry?.length) {
    throw new MedplumBadRequestError(
      'The bundle has no entries, and the server refuses an empty one. Add at least one entry.',
    );
  }
  const wipes = objects(bundle.entry).some(
    ({ request, resource }) => request?.method === 'PUT' && resource && wipesAccounts(resource),
  );
  return {
    ...INTERACTIONS.batch,
    action: type,
    path: ROOT,
    query: '',
    headers: ACCEPT_AND_CONTENT_TYPE,
    body: json(bundle, 'bundle'),
    entries: bundle.entry,
    repeatability: readsOnly(bundle.entry) ? 'safe' : 'unsafe',
    expects: 'bundle',
    ...(wipes ? { extended: false } : {}),
  };
}

/** Whether a bundle has entries, and all of them are plain reads and searches. An operation may write even when it is called with GET. */
export function readsOnly(entries: readonly unknown[]): boolean {
  if (entries.length === 0) {
    return false;
  }
  return entries.every((entry) => {
    const { method, url } = Object((Object(entry) as { request?: unknown }).request) as Record<string, unknown>;
    return method === 'GET' && typeof url === 'string' && !/\$|%24/.test(url);
  });
}

/** Why a response of success is not what was asked for. */
export interface ResponseProblem {
  readonly text: string;
  /** The body is missing. The status alone then says that a write took effect. */
  readonly isEmpty: boolean;
}

/**
 * Checks that a response of success is about what was asked for: the resource that was named, a resource of the type
 * that was named, or a bundle. A mix-up, of a proxy for instance, must not show somebody else's record.
 */
export function responseProblem(
  { expects, resourceType, resourceId }: FhirRequest,
  body: unknown,
): ResponseProblem | undefined {
  if (expects === undefined) {
    return undefined;
  }
  if (body === undefined) {
    return { text: 'has no body', isEmpty: true };
  }
  if (expects === 'body') {
    return undefined;
  }
  const { resourceType: type, id } = Object(body) as { resourceType?: unknown; id?: unknown };
  if (expects === 'bundle') {
    return type === 'Bundle' ? undefined : { text: 'is not a Bundle', isEmpty: false };
  }
  if (type !== resourceType) {
    return { text: 'is about another resource type than the request', isEmpty: false };
  }
  const isAsked = expects === 'instance' ? sameId(id, resourceId) : isFhirId(id);
  return isAsked ? undefined : { text: 'is about another resource than the request, or has no id', isEmpty: false };
}

/** Medplum finds a resource by an id in upper case, and returns it with its id in lower case. */
function sameId(id: unknown, asked: string | undefined): boolean {
  return typeof id === 'string' && (id === asked || id.toLowerCase() === asked?.toLowerCase());
}
