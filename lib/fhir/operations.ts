import type { Parameters, Resource } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import { shownName } from '../errors/shown';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { ACCEPT, ACCEPT_AND_CONTENT_TYPE, checkResource, json, onInstance, onType, ROOT } from './interactions';
import { type OperationInput, toParameters } from './parameters';

/** A call of a FHIR operation, with input of the type `I`. */
export interface OperationCall<I extends object = OperationInput | Parameters> {
  /** Name of the operation, with or without its `$`. */
  readonly operation: string;
  /** Resource type. Leave it out for an operation on the whole server. */
  readonly resourceType?: string | undefined;
  /** Id of the resource. Leave the key out for an operation on the whole type; a key that is undefined is an error. */
  readonly id?: string | undefined;
  /** HTTP method. `GET` sends `input` as the query and, unless `readOnly` is false, may be retried. Default `POST`. */
  readonly method?: 'GET' | 'POST' | undefined;
  /** The parameters, as a Parameters resource or a plain object of values. Leave it out if you pass `resource`. */
  readonly input?: I | undefined;
  /** The resource to send as the whole body, for operations that take one. */
  readonly resource?: Resource | undefined;
  /** Says that the operation changes nothing, so it may be retried. Default: `true` for `GET`, `false` for `POST`. */
  readonly readOnly?: boolean | undefined;
}

/** What the event of an operation records when the arguments are refused. */
export const OPERATION = {
  action: 'operation',
  method: 'POST',
  pathTemplate: `/${ROOT}/{type}/{operation}`,
} as const satisfies FhirInteraction;

/** FHIR R4 section 3.2.0 makes the name a code. Medplum's longest name has 25 letters, so 64 are plenty. */
const NAME = /^\$?([A-Za-z][A-Za-z0-9-]{0,63})$/;

function operationName(name: unknown): string {
  const [, plain] = (typeof name === 'string' && NAME.exec(name)) || [];
  if (plain === undefined) {
    throw new MedplumBadRequestError(
      'The name of an operation must consist of letters, digits and dashes, such as $everything.',
    );
  }
  return `$${plain}`;
}

function target(call: OperationCall<object>) {
  const { resourceType, id } = call;
  // A key `id` that is undefined is a mistake of the caller: without the id, the operation would run on the whole type.
  if ('id' in call) {
    return onInstance(OPERATION, resourceType, id);
  }
  return resourceType === undefined
    ? { ...OPERATION, path: ROOT, pathTemplate: `/${ROOT}`, query: '' }
    : onType(OPERATION, resourceType);
}

function queryOf(input: object | undefined): string {
  const query = new URLSearchParams();
  for (const [name, given] of Object.entries<unknown>({ ...input })) {
    for (const one of [given].flat()) {
      if (one !== undefined && typeof one !== 'string' && typeof one !== 'number' && typeof one !== 'boolean') {
        throw new MedplumBadRequestError(
          `The parameter ${shownName(name)} is not text, a number or a boolean, so it cannot go into a query. Use the method POST.`,
        );
      }
      if (one !== undefined) {
        query.append(name, String(one));
      }
    }
  }
  return query.toString();
}

/** GET or POST `[type]/[id]/$[operation]`. */
export function operation(call: OperationCall<object>): FhirRequest {
  if (typeof call !== 'object' || call === null) {
    throw new MedplumBadRequestError('The call of an operation must be an object with the name of the operation.');
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
    responseKind: 'any',
    repeatability: readOnly ? 'safe' : 'unsafe',
  } as const;
  if (method === 'GET') {
    return { ...request, query: queryOf(input), headers: ACCEPT };
  }
  if (method !== 'POST') {
    throw new MedplumBadRequestError('The method of an operation must be GET or POST.');
  }
  if (resource !== undefined) {
    checkResource(resource);
  }
  const body = json(resource ?? toParameters(input), 'input of the operation');
  return { ...request, headers: ACCEPT_AND_CONTENT_TYPE, body };
}
