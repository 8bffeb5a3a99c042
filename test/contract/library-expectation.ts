import type { FilledRequest, LibraryCall } from './library-call';
import type { WireAnswer } from './wire-case.types';
import { parseAnswer } from './wire-match';

/** What the library has to make of a response: the error that it throws, if any, and the effect that it names. */
export interface LibraryOutcome {
  /** The name of the error's class. `undefined`: the call resolves. */
  readonly error: string | undefined;
  readonly effect: 'none' | 'happened' | 'unknown';
}

const ERRORS: Readonly<Record<number, string>> = {
  304: 'MedplumNotModifiedError',
  401: 'MedplumUnauthorizedError',
  403: 'MedplumForbiddenError',
  404: 'MedplumNotFoundError',
  409: 'MedplumConflictError',
  410: 'MedplumGoneError',
  412: 'MedplumPreconditionFailedError',
  429: 'MedplumRateLimitError',
};

/**
 * Medplum adds a `RateLimit` header to every response except those that refuse the identity (section 19 of the notes on
 * the wire), so a refusal without one is about the identity.
 */
export function outcomeOf(request: FilledRequest, call: LibraryCall, answer: WireAnswer): LibraryOutcome {
  const { status } = answer;
  const isRead = reads(request);
  if (status >= 500) {
    return { error: 'MedplumServerError', effect: isRead ? 'none' : 'unknown' };
  }
  if (status >= 300) {
    const refusesIdentity = [400, 403, 404, 410].includes(status) && answer.headers.ratelimit === undefined;
    const isBot = status === 400 && request.path.includes('$execute') && !refusesIdentity;
    if (status === 304 && call.kind === 'fetch') {
      return { error: undefined, effect: 'none' };
    }
    if (asOutcome(answer) === undefined && [400, 403, 404, 410].includes(status)) {
      // No Medplum answers so: it is a page of something else.
      return { error: 'MedplumProtocolError', effect: 'none' };
    }
    const named = ERRORS[status] ?? (status >= 400 ? 'MedplumBadRequestError' : 'MedplumProtocolError');
    return {
      error: refusesIdentity ? 'OnBehalfOfRejectedError' : named,
      effect: isBot ? 'unknown' : 'none',
    };
  }
  const errors: unknown = call.kind === 'graphql' && Object(parseAnswer(answer).body).errors;
  return {
    error: Array.isArray(errors) && errors.length > 0 ? 'MedplumGraphqlError' : undefined,
    effect: isRead ? 'none' : 'happened',
  };
}

/** The OperationOutcome of a response, as text. */
export function asOutcome(answer: WireAnswer): string | undefined {
  const { resourceType } = Object(parseAnswer(answer).body) as { resourceType?: unknown };
  return resourceType === 'OperationOutcome' ? answer.text : undefined;
}

/** Whether the request cannot write, whatever the server makes of it. */
function reads({ method, path, body }: FilledRequest): boolean {
  if (method === 'GET' || /\/_search(?:\?|$)/.test(path)) {
    return true;
  }
  if (path.endsWith('/$graphql')) {
    const { query } = Object(body) as { query?: unknown };
    return typeof query === 'string' && /^\s*(?:query\b|\{)/.test(query);
  }
  const { entry } = Object(body) as { entry?: unknown };
  return /^fhir\/R4\/?$/.test(path) && Array.isArray(entry) && entry.length > 0 && entry.every(isPlainRead);
}

/** Why the library has to refuse a request before it is sent, whatever the server would make of it. */
export function refusalOf(
  { method, path, headers, body }: FilledRequest,
  onBehalfOf: unknown,
  kind: string,
): string | undefined {
  const names = Object.keys(headers).map((name) => name.toLowerCase());
  const prefer = Object.entries(headers).find(([name]) => name.toLowerCase() === 'prefer')?.[1];
  const owned = [
    'authorization',
    'host',
    'content-encoding',
    'x-medplum-on-behalf-of',
    ...(kind === 'fetch' ? [] : ['x-medplum']),
  ];
  if (typeof onBehalfOf === 'string' && onBehalfOf.startsWith('ClientApplication/')) {
    return 'a client, which is nobody to act for';
  }
  if (names.some((name) => owned.includes(name))) {
    return 'a header that the library owns';
  }
  if (/^(?:auth|oauth2|admin\/super)\//.test(path)) {
    return 'a path of logins';
  }
  if (/\/\.\.?\/|\/\/|%(?![\da-fA-F]{2})|%2[fFeE]/.test(path.replace(/\?.*/s, ''))) {
    return 'a path that the server resolves to another';
  }
  if (prefer?.includes('respond-async') && typeof onBehalfOf === 'string' && onBehalfOf !== '') {
    return 'a job that would run with the rights of the client';
  }
  if (prefer !== undefined && /return=minimal/.test(prefer) && !['raw', 'fetch'].includes(kind)) {
    return 'a typed method promises the resource';
  }
  const { entry, type } = Object(body) as { entry?: unknown; type?: unknown };
  const isBatch = kind === 'fetch' && method === 'POST' && /^fhir\/R4\/?$/.test(path) && type !== 'transaction';
  if (isBatch && Array.isArray(entry) && entry.every((one) => requestOf(one).method === 'GET')) {
    return 'a batch that mixes callers';
  }
  return kind === 'patchResource' && Array.isArray(body) && body.length === 0 ? 'a patch of nothing' : undefined;
}

function requestOf(entry: unknown): { readonly method?: unknown; readonly url?: unknown } {
  return Object((Object(entry) as { request?: unknown }).request) as { method?: unknown; url?: unknown };
}

function isPlainRead(entry: unknown): boolean {
  const { method, url } = requestOf(entry);
  return method === 'GET' && typeof url === 'string' && !url.includes('$');
}
