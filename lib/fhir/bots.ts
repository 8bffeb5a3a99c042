import type { Identifier } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { MedplumBadRequestError } from '../errors/response.errors';
import type { FhirInteraction, FhirRequest } from './fhir-request';
import { json, onInstance, onType } from './interactions';
import { operation } from './operations';
import { checkId } from './path-segments';
import { token } from './search-values';

/** What the event of a bot says when its arguments are refused. */
export const EXECUTE_BOT = {
  action: 'operation',
  method: 'POST',
  pathTemplate: '/fhir/R4/Bot/{id}/$execute',
} as const satisfies FhirInteraction;

/** RFC 9110 section 8.3.1, ASCII only. */
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
    throw new MedplumBadRequestError('The identifier of a bot needs a system and a value.');
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
    answer: 'any',
    repeatability: 'unsafe',
  };
}

/** POST `Bot/[id]/$deploy`. */
export function deployBot(id: string, code: string, filename: string): FhirRequest {
  if (typeof code !== 'string' || code === '' || typeof filename !== 'string' || !/^[\w.-]{1,128}$/.test(filename)) {
    throw new MedplumBadRequestError('A bot is deployed from its code and the name of a file such as index.js.');
  }
  const request = operation({ operation: 'deploy', resourceType: 'Bot', id });
  const headers = { accept: 'application/fhir+json', 'content-type': 'application/json' };
  return { ...request, headers, body: json({ code, filename }, 'code of the bot') };
}

/** What the event of a bot that is created says when its arguments are refused. */
export const CREATE_BOT = {
  action: 'create',
  method: 'POST',
  pathTemplate: '/admin/projects/{id}/bot',
} as const satisfies FhirInteraction;

/** A bot to be created. */
export interface NewBot {
  /** What people call it. */
  readonly name: string;
  /** What it is for. */
  readonly description?: string;
  /** What the bot itself may do; without it, everything in the project. */
  readonly accessPolicy?: { readonly reference: string };
  /** Default `awslambda`, or what the server says. */
  readonly runtimeVersion?: 'awslambda' | 'vmcontext' | 'fission';
}

/** POST `admin/projects/[id]/bot`. */
export function createBot(projectId: string, bot: NewBot): FhirRequest {
  return {
    ...CREATE_BOT,
    path: `admin/projects/${checkId(projectId, 'id of the project')}/bot`,
    query: '',
    resourceType: 'Bot',
    headers: { accept: 'application/fhir+json', 'content-type': 'application/json' },
    body: json(bot, 'bot'),
    repeatability: 'unsafe',
  };
}
