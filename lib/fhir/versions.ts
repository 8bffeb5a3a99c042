import { MedplumBadRequestError } from '../errors/response.errors';
import { type BaseUrl, pathWithin } from '../shared/base-url';
import type { FhirRequest } from './fhir-request';
import { ACCEPT, INTERACTIONS, onInstance, read } from './interactions';
import { checkId } from './path-segments';

/** GET `[type]/[id]/_history/[version]`. */
export function readVersion(type: string, id: string, version: string): FhirRequest {
  const request = onInstance(INTERACTIONS.vread, type, id);
  return {
    ...request,
    path: `${request.path}/_history/${checkId(version, 'version')}`,
    pathTemplate: `${request.pathTemplate}/_history/{version}`,
    headers: ACCEPT,
    repeatability: 'safe',
    expects: 'instance',
  };
}

/** Which versions of a history to return. */
export interface HistoryPage {
  /** Most versions in the response. The server sets the default. */
  readonly count?: number | undefined;
  /** Number of versions to skip, newest first. */
  readonly offset?: number | undefined;
}

/** GET `[type]/[id]/_history`. */
export function readHistory(type: string, id: string, { count, offset }: HistoryPage): FhirRequest {
  const request = onInstance(INTERACTIONS.history, type, id);
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ _count: count, _offset: offset })) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0)) {
      throw new MedplumBadRequestError('The count and the offset of a history must be whole numbers, 0 or more.');
    }
    if (value !== undefined) {
      parameters.set(name, String(value));
    }
  }
  return {
    ...request,
    path: `${request.path}/_history`,
    pathTemplate: `${request.pathTemplate}/_history`,
    query: parameters.toString(),
    headers: ACCEPT,
    repeatability: 'safe',
    expects: 'bundle',
  };
}

/**
 * Describes the read of a reference: `Patient/1`, the version `Patient/1/_history/2`, or either of them as an absolute
 * address on the client's server.
 *
 * @throws MedplumBadRequestError when the reference names no such resource, as logical and contained references (`#…`)
 * do not.
 */
export function readReference(reference: unknown, base: BaseUrl): FhirRequest {
  const text: unknown =
    typeof reference === 'object' && reference !== null ? (reference as { reference?: unknown }).reference : reference;
  const isAbsolute = typeof text === 'string' && /^https?:\/\//i.test(text);
  const path = isAbsolute ? pathWithin(base, text)?.replace(/^fhir\/R4\//, '') : text;
  const [type, id, history, version, ...rest] = typeof path === 'string' ? path.split('/') : [];
  const isVersion = history === '_history' && version !== undefined;
  if (type === undefined || id === undefined || rest.length > 0 || (history !== undefined && !isVersion)) {
    throw new MedplumBadRequestError(
      'The reference must name one resource on the Medplum server of this client, as Type/id or Type/id/_history/version.',
    );
  }
  return version === undefined ? read(type, id) : readVersion(type, id, version);
}
