import type { Identifier } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { ACCEPT_AND_PLAIN_JSON, json, onInstance, onType } from './interactions';
import { operation } from './operations';
import { checkId } from './path-segments';
import { token } from './search-values';

/** What the event of a bot run records when the arguments are refused. */
export const EXECUTE_BOT = {
  action: 'operation',
  method: 'POST',
  pathTemplate: '/fhir/R4/Bot/{id}/$execute',
} as const satisfies FhirInteraction;

/** A media type (RFC 9110 section 8.3.1), ASCII only. */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;\s*[\w!#$&^.+-]+=(?:[\w!#$&^.+-]+|"[\w !#$&^.+/-]*"))*$/;

/** @throws MedplumBadRequestError unless `value` is a media type. */
export function checkMediaType(value: unknown): string {
  if (typeof value !== 'string' || value.length > 200 || !MEDIA_TYPE.test(value)) {
    throw new MedplumBadRequestError('The content type must be a media type such as text/plain.');
  }
  return value;
}

/** POST `Bot/[id]/$execute`, or `Bot/$execute?identifier=…`. */
export function executeBot(bot: string | Identifier, input: unknown, contentType: string | undefined): FhirRequest {
  const isIdentifier = typeof bot === 'object' && bot !== null;
  if (isIdentifier && (!bot.system || !bot.value)) {
    throw new MedplumBadRequestError('The identifier of a bot must have a system and a value.');
  }
  const on = isIdentifier ? onType(EXECUTE_BOT, 'Bot') : onInstance(EXECUTE_BOT, 'Bot', bot);
  const isBinary = typeof input === 'string' || input instanceof Uint8Array;
  const type = contentType === undefined ? (isBinary ? 'text/plain' : 'application/json') : checkMediaType(contentType);
  return {
    ...on,
    path: `${on.path}/$execute`,
    pathTemplate: `${on.pathTemplate}/$execute`,
    query: isIdentifier ? new URLSearchParams({ identifier: String(token(bot)) }).toString() : '',
    operation: '$execute',
    headers: { accept: 'application/fhir+json, application/json, */*;q=0.5', 'content-type': type },
    body: isBinary ? input : json(input ?? {}, 'input of the bot'),
    responseKind: 'any',
    repeatability: 'unsafe',
  };
}

/** POST `Bot/[id]/$deploy`. */
export function deployBot(id: string, code: string, filename: string): FhirRequest {
  if (typeof code !== 'string' || code === '' || typeof filename !== 'string' || !/^[\w.-]{1,128}$/.test(filename)) {
    throw new MedplumBadRequestError('To deploy a bot, pass its code as text and a file name such as index.js.');
  }
  const request = operation({ operation: 'deploy', resourceType: 'Bot', id });
  return {
    ...request,
    headers: ACCEPT_AND_PLAIN_JSON,
    body: json({ code, filename }, 'code of the bot'),
    expects: 'body',
  };
}

/** What the event of creating a bot records when the arguments are refused. */
export const CREATE_BOT = {
  action: 'create',
  method: 'POST',
  pathTemplate: '/admin/projects/{id}/bot',
} as const satisfies FhirInteraction;

/** A new bot. */
export interface NewBot {
  /** Name that people see. */
  readonly name: string;
  /** Purpose of the bot, for people. */
  readonly description?: string;
  /** Access policy of the bot itself. Without one, the bot may do everything in the project. */
  readonly accessPolicy?: { readonly reference: string };
  /** Where the bot runs. The server sets the default; Medplum's own is `awslambda`. */
  readonly runtimeVersion?: 'awslambda' | 'vmcontext' | 'fission';
}

/** POST `admin/projects/[id]/bot`. */
export function createBot(projectId: string, bot: NewBot): FhirRequest {
  return {
    ...CREATE_BOT,
    path: `admin/projects/${checkId(projectId, 'id of the project')}/bot`,
    query: '',
    resourceType: 'Bot',
    headers: ACCEPT_AND_PLAIN_JSON,
    body: json(bot, 'bot'),
    repeatability: 'unsafe',
    expects: 'resource',
  };
}
