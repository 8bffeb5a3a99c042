import { MedplumBadRequestError } from '../errors/response.errors';
import { type BaseUrl, pathWithin } from '../http/base-url';
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
  };
}

/** Which versions of a history are returned. */
export interface HistoryPage {
  /** Most versions in the answer; the server's default otherwise. */
  readonly count?: number | undefined;
  /** How many of the newest are skipped. */
  readonly offset?: number | undefined;
}

/** GET `[type]/[id]/_history`. */
export function readHistory(type: string, id: string, { count, offset }: HistoryPage): FhirRequest {
  const request = onInstance(INTERACTIONS.history, type, id);
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ _count: count, _offset: offset })) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0)) {
      throw new MedplumBadRequestError('count and offset of a history must be whole numbers, 0 or more.');
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
  };
}

/**
 * The read that a reference asks for: `Patient/1`, the version `Patient/1/_history/2`, or the same with the address of
 * the server before it. Logical and contained references (`#…`) name nothing that could be read.
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
      'The reference must name one resource on the server of the client: Type/id or Type/id/_history/version.',
    );
  }
  return version === undefined ? read(type, id) : readVersion(type, id, version);
}
