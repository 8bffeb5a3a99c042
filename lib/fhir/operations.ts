import type { Parameters, Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownName } from '../errors/shown';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { ACCEPT, ACCEPT_AND_CONTENT_TYPE, checkResource, json, onInstance, onType, ROOT } from './interactions';
import { type OperationInput, toParameters } from './parameters';

/** A FHIR operation, and what it is called on. */
export interface OperationCall {
  /** Name, with or without its `$`. */
  readonly operation: string;
  /** Left out: an operation of the server. */
  readonly resourceType?: string | undefined;
  /** Left out: an operation of the type. Present but undefined is an error. */
  readonly id?: string | undefined;
  /** Default `POST`. `GET` puts `input` into the query, and may be repeated. */
  readonly method?: 'GET' | 'POST' | undefined;
  /** Parameters, a plain object of values, or, with `resource`, nothing. */
  readonly input?: OperationInput | Parameters | undefined;
  /** A resource as the whole body, for operations that take one. */
  readonly resource?: Resource | undefined;
  /** The operation changes nothing, so it may be repeated. Default: `GET` does not, `POST` does. */
  readonly readOnly?: boolean | undefined;
}

/** What the event of an operation says when its arguments are refused. */
export const OPERATION = {
  action: 'operation',
  method: 'POST',
  pathTemplate: `/${ROOT}/{type}/{operation}`,
} as const satisfies FhirInteraction;

/** FHIR R4 section 3.2.0: a code; the longest one that Medplum has is 25 letters. */
const NAME = /^\$?([A-Za-z][A-Za-z0-9-]{0,63})$/;

function operationName(name: unknown): string {
  const [, plain] = (typeof name === 'string' && NAME.exec(name)) || [];
  if (plain === undefined) {
    throw new MedplumBadRequestError(
      'The name of an operation must be letters, digits and dashes, such as $everything.',
    );
  }
  return `$${plain}`;
}

function target(call: OperationCall) {
  const { resourceType, id } = call;
  // An id that is there but undefined is a mistake: the operation would be one on the whole type.
  if ('id' in call) {
    return onInstance(OPERATION, resourceType, id);
  }
  return resourceType === undefined
    ? { ...OPERATION, path: ROOT, pathTemplate: `/${ROOT}`, query: '' }
    : onType(OPERATION, resourceType);
}

function queryOf(input: OperationInput | Parameters | undefined): string {
  const query = new URLSearchParams();
  for (const [name, given] of Object.entries(input ?? {})) {
    for (const one of [given].flat()) {
      if (one !== undefined && typeof one !== 'string' && typeof one !== 'number' && typeof one !== 'boolean') {
        throw new MedplumBadRequestError(`The parameter ${shownName(name)} cannot stand in a query: use method POST.`);
      }
      if (one !== undefined) {
        query.append(name, String(one));
      }
    }
  }
  return query.toString();
}

/** GET or POST `[base]/[type]/[id]/$[operation]`. */
export function operation(call: OperationCall): FhirRequest {
  if (typeof call !== 'object' || call === null) {
    throw new MedplumBadRequestError('An operation must be an object that names it.');
  }
  const { method = 'POST', input, resource, readOnly = method === 'GET' } = call;
  const name = operationName(call.operation);
  const on = target(call);
  const request = {
    ...on,
    method,
    path: `${on.path}/${name}`,
    pathTemplate: `${on.pathTemplate}/${name}`,
    operation: name,
    answer: 'any',
    repeatability: readOnly ? 'safe' : 'unsafe',
  } as const;
  if (method === 'GET') {
    return { ...request, query: queryOf(input), headers: ACCEPT };
  }
  if (method !== 'POST') {
    throw new MedplumBadRequestError('An operation is called with GET or POST.');
  }
  if (resource !== undefined) {
    checkResource(resource);
  }
  const body = json(resource ?? toParameters(input), 'input of the operation');
  return { ...request, headers: ACCEPT_AND_CONTENT_TYPE, body };
}
