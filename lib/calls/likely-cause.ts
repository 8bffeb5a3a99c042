import type { MedplumError } from '../errors/medplum.error';
import { OnBehalfOfRejectedError } from '../errors/on-behalf-of.errors';
import {
  MedplumConflictError,
  MedplumForbiddenError,
  MedplumGoneError,
  MedplumNotFoundError,
  MedplumNotModifiedError,
  MedplumPreconditionFailedError,
  MedplumProtocolError,
  MedplumRateLimitError,
  MedplumUnauthorizedError,
} from '../errors/response.errors';
import { objects } from '../shared/objects';

/** @internal Why the server probably refused a request, in words without any value of the request or the response. */
export interface LikelyCause {
  /** Names the cause. */
  readonly id: string;
  /** A clause, without a capital and a full stop. */
  readonly cause: string;
  /** A sentence. */
  readonly fix: string;
  /** The app expects such responses in normal operation. */
  readonly isExpected?: true;
  /** The cause lies in the set-up, so it fails every request alike. */
  readonly isGeneral?: true;
}

const SET_ADMIN = 'Set admin: true on the ProjectMembership of the client.';
const OF_THE_CLIENT = 'Check the membership, and that clientId belongs to the same project.';

const CAUSES = {
  credentials: {
    cause: 'the clientId or the clientSecret is wrong, the secret was changed, or the access token has expired',
    fix: 'Check both options, and that the ClientApplication and its ProjectMembership still exist on this server.',
    isGeneral: true,
  },
  quota: {
    cause: 'the quota of the client, which all its users share, is used up',
    fix: 'Wait as long as error.retryAfter says and spread the calls, or get a higher quota from the operators of the server.',
    isGeneral: true,
  },
  'client-not-admin': {
    cause: 'the client is not a project admin',
    fix: SET_ADMIN,
    isGeneral: true,
  },
  'identity-of-membership': {
    // An unknown membership gets 404, so this one exists.
    cause:
      'the client is not a project admin, or its own access policy does not let it read the profile of the identity',
    fix: `${SET_ADMIN} If the client has an access policy, add the types of the profiles to it.`,
    isGeneral: true,
  },
  'identity-of-profile': {
    cause: 'no membership in the project of the client has this profile, or the client is not a project admin',
    fix: `${SET_ADMIN} Name the identity as ProjectMembership/<id>, with a membership of that project.`,
  },
  'identity-unknown': {
    cause: 'the project of the client has no such membership',
    fix: OF_THE_CLIENT,
  },
  'identity-gone': {
    cause: 'the membership or its profile was deleted',
    fix: 'Invite the person again, and store the id of the new membership.',
  },
  'identity-unusable': {
    cause: 'the membership is unknown, deleted or without a valid access policy, or the client is not a project admin',
    fix: `${OF_THE_CLIENT} Check its AccessPolicy. ${SET_ADMIN}`,
  },
  'identity-checked': {
    cause: 'the membership check of this client refused the identity',
    fix: 'The message of the error says why. Nothing was sent for the identity.',
  },
  'super-admin': {
    cause: 'only super admins may do this',
    fix: 'Use a client of the Super Admin project of the server.',
  },
  'admin-only': {
    cause: 'only project admins may use memberships, users, projects and the paths below admin/',
    fix: 'Use medplum.memberships or asClientApplication(), after you have checked what the user may do.',
  },
  'policy-of-client': {
    cause: 'the access policy of the client itself does not allow this',
    fix: 'Extend that policy, or make the call on behalf of a user.',
  },
  policy: {
    cause: 'the access policy of the identity does not allow this interaction with this resource type or resource',
    fix: 'Extend the AccessPolicy of the membership, or make the call as another identity.',
  },
  'search-parameter': {
    cause: 'a search parameter, a chain or an include is misspelt, or the resource type does not have it',
    fix: 'Compare the query with the search parameters of the type.',
  },
  date: {
    cause: 'a date in the query is not written as the server wants it',
    fix: 'Use dateRange(): the server takes whole days and times with seconds only.',
  },
  type: {
    cause: 'a resource type is misspelt, or the resource is of another type than the path',
    fix: 'Compare both with the FHIR resource types.',
  },
  field: {
    cause: 'a field of the resource is misspelt, missing or of the wrong type',
    fix: 'error.outcome names the field in its expression.',
  },
  'graphql-document': {
    cause: 'a field or a type of the GraphQL document is misspelt, or an argument is missing',
    fix: 'Check the document against the schema.',
  },
  bot: {
    cause: 'the bot threw an exception, or bots are not enabled',
    fix: 'error.outcome has its text. Look at what the bot wrote before it failed: that stays.',
  },
  invalid: {
    cause: 'the server found the request invalid',
    fix: 'error.outcome says why.',
  },
  operation: {
    cause: 'the server has no such operation, there is no such resource, or the identity may not see it',
    fix: 'Check the name of the operation and the version of the server.',
    isExpected: true,
  },
  'not-found': {
    cause: 'there is no such resource, or the identity may not see it',
    fix: 'Check the id and the access policy of the identity.',
    isExpected: true,
  },
  gone: { cause: 'the resource was deleted', fix: 'Read its history if you need it.', isExpected: true },
  version: {
    cause: 'the resource has another version by now, or several resources match the condition',
    fix: 'Read it again and repeat the change, or narrow the condition.',
    isExpected: true,
  },
  'up-to-date': { cause: 'the resource has not changed', fix: 'Use your copy.', isExpected: true },
  conflict: {
    cause: 'somebody wrote at the same time, or a duplicate exists',
    fix: 'If error.retryable is true, repeat the call. Otherwise look for the duplicate.',
  },
  'signed-address': {
    cause: 'the signed address of a file has expired, or it was changed on its way',
    fix: 'Read the resource again, which gives a new address, and check publicUrl and the proxies.',
  },
  'not-medplum': {
    cause: 'baseUrl does not lead to a Medplum server, or a proxy in front of it answered',
    fix: 'Check baseUrl and the proxy.',
  },
  'too-large': {
    cause: 'the address, the headers or the body are larger than the server or a proxy takes',
    fix: 'Send less at once, or search with { post: true }.',
  },
} as const satisfies Record<string, Omit<LikelyCause, 'id'>>;

type CauseId = keyof typeof CAUSES;

/**
 * @internal Whether the server refused a request, or the membership check its identity. Quotas are used up inside of
 * responses with 200, too: of GraphQL and of transactions.
 */
export function isRefusal(error: MedplumError): boolean {
  const { status } = error;
  return status === undefined
    ? error instanceof OnBehalfOfRejectedError
    : status === 304 || (status >= 400 && status < 500) || error instanceof MedplumRateLimitError;
}

/** @internal Why a request failed, as far as the response tells. The texts of the outcome are read, but never repeated. */
export function likelyCause(error: MedplumError): LikelyCause {
  const id = causeOf(error);
  return { id, ...CAUSES[id] };
}

function causeOf(error: MedplumError): CauseId {
  if (error.request?.pathTemplate === '/{signed}') {
    return 'signed-address';
  }
  if (error instanceof OnBehalfOfRejectedError) {
    return ofIdentity(error);
  }
  if (error instanceof MedplumUnauthorizedError) {
    return 'credentials';
  }
  if (error instanceof MedplumRateLimitError) {
    return 'quota';
  }
  if (error instanceof MedplumForbiddenError) {
    return ofPermission(error);
  }
  if (error instanceof MedplumProtocolError) {
    return 'not-medplum';
  }
  for (const [type, id] of BY_CLASS) {
    if (error instanceof type) {
      return id === 'not-found' && isOperation(error) ? 'operation' : id;
    }
  }
  return ofRequest(error);
}

const BY_CLASS = [
  [MedplumNotFoundError, 'not-found'],
  [MedplumGoneError, 'gone'],
  [MedplumPreconditionFailedError, 'version'],
  [MedplumNotModifiedError, 'up-to-date'],
  [MedplumConflictError, 'conflict'],
] as const;

function isOperation({ request }: MedplumError): boolean {
  return request?.pathTemplate.includes('/$') === true;
}

function ofIdentity({ status, request }: MedplumError): CauseId {
  switch (status) {
    case undefined:
      return 'identity-checked';
    case 404:
      return 'identity-unknown';
    case 410:
      return 'identity-gone';
    case 403:
      return request?.onBehalfOf?.startsWith('ProjectMembership/') ? 'identity-of-membership' : 'identity-of-profile';
    default:
      return 'identity-unusable';
  }
}

/** What only project admins may use. */
const ADMIN_ONLY = /^\/(?:admin\/|fhir\/R4\/(?:ProjectMembership|Project|User|UserSecurityRequest|Login)(?:\/|$))/;

function ofPermission({ request }: MedplumError): CauseId {
  const { pathTemplate = '', onBehalfOf } = request ?? {};
  if (/\/Project\/.*\/\$clone$/.test(pathTemplate)) {
    return 'super-admin';
  }
  if (ADMIN_ONLY.test(pathTemplate)) {
    return onBehalfOf === undefined ? 'client-not-admin' : 'admin-only';
  }
  return onBehalfOf === undefined ? 'policy-of-client' : 'policy';
}

/** How Medplum begins the texts of its refusals, and what they mean. */
const BY_TEXT: readonly (readonly [RegExp, CauseId])[] = [
  [/^(?:Unknown search parameter|Invalid search parameter|Invalid include|Invalid chain)/, 'search-parameter'],
  [/^Invalid (?:date value|format for date)/, 'date'],
  [/^(?:Unknown (?:resource|data) type|Incorrect resource type)/, 'type'],
  [/^(?:Invalid additional property|Missing required property|Invalid JSON type)/, 'field'],
];

function ofRequest({ status, outcome, request }: MedplumError): CauseId {
  const { pathTemplate = '' } = request ?? {};
  if (pathTemplate.endsWith('/$execute')) {
    return 'bot';
  }
  if (pathTemplate.endsWith('/$graphql')) {
    return 'graphql-document';
  }
  for (const { code, details } of objects(outcome?.issue)) {
    const text: unknown = details?.text;
    const known = typeof text === 'string' ? BY_TEXT.find(([pattern]) => pattern.test(text))?.[1] : undefined;
    if (known ?? code === 'structure') {
      return known ?? 'field';
    }
  }
  return status === 413 || status === 414 || status === 431 ? 'too-large' : 'invalid';
}
