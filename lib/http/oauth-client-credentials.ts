import type { MedplumError } from '../errors/medplum.error';
import {
  MedplumProtocolError,
  MedplumRateLimitError,
  MedplumServerError,
  MedplumUnauthorizedError,
} from '../errors/response.errors';
import { MedplumConnectionError, MedplumTimeoutError } from '../errors/transport.errors';
import type { BaseUrl } from '../shared/base-url';
import { type ClientSecret, type Credentials, CREDENTIALS_TIMEOUT, readSecret } from './credentials';
import { Cancelled, Deadline } from './deadline';
import { DispatcherWire } from './dispatcher-wire';
import type { MedplumDispatcher } from './medplum-dispatcher';
import { TOO_LARGE, type Wire, WireFailure } from './wire';

/** Most bytes of a token response. A token has a few KiB. */
const MAX_BYTES = 64 * 1024;
/** For how long calls fail at once after a failed token request, in ms. */
const COOL_DOWN = 1_000;
/** Lifetime of a token if the server does not state it (RFC 6749 section 5.1 only recommends it), in seconds. */
const UNKNOWN_LIFETIME = 300;

interface Token {
  readonly authorization: string;
  /** By the monotonic clock, in ms. */
  readonly renewAt: number;
  readonly expiresAt: number;
}

/** What a token request is made of. */
export interface OAuthClientCredentialsOptions {
  readonly baseUrl: BaseUrl;
  readonly dispatcher: MedplumDispatcher;
  readonly clientId: string;
  readonly clientSecret: ClientSecret;
}

/**
 * Access tokens of the ClientApplication (RFC 6749 section 4.4). The first call requests a token, and it is renewed before
 * it expires. There is one token request at a time, however many calls wait for it. It never carries an identity.
 */
export class OAuthClientCredentials implements Credentials {
  readonly #options: OAuthClientCredentialsOptions;
  readonly #wire: Wire;
  #token: Token | undefined;
  #fetching: Promise<string> | undefined;
  #failure: { readonly error: MedplumError; readonly until: number } | undefined;

  constructor(options: OAuthClientCredentialsOptions) {
    this.#options = options;
    const { baseUrl, dispatcher } = options;
    // The request body holds the secret, so interceptors of the dispatcher must neither redirect, repeat nor cache it.
    this.#wire = new DispatcherWire(dispatcher, { origin: baseUrl.origin, maxBytes: MAX_BYTES, foreign: true });
  }

  authorization(): string | Promise<string> {
    const now = performance.now();
    if (this.#token && now < this.#token.renewAt) {
      return this.#token.authorization;
    }
    if (this.#failure && now < this.#failure.until) {
      return this.#usable(now) ?? Promise.reject(this.#failure.error);
    }
    this.#fetching ??= this.#fetch().finally(() => (this.#fetching = undefined));
    return this.#fetching;
  }

  async renew(rejected: string): Promise<boolean> {
    // A late 401 to an older token does not throw the new one away.
    if (this.#token?.authorization === rejected) {
      this.#token = undefined;
    }
    return (await this.authorization()) !== rejected;
  }

  async #fetch(): Promise<string> {
    try {
      this.#token = await this.#request();
      this.#failure = undefined;
      return this.#token.authorization;
    } catch (error) {
      const now = performance.now();
      this.#failure = { error: error as MedplumError, until: now + COOL_DOWN };
      const usable = this.#usable(now);
      if (usable === undefined) {
        throw error;
      }
      return usable;
    }
  }

  /** The token that is due for renewal, until it expires. */
  #usable(now: number): string | undefined {
    return this.#token && now < this.#token.expiresAt ? this.#token.authorization : undefined;
  }

  async #request(): Promise<Token> {
    const { baseUrl, clientId, clientSecret } = this.#options;
    const deadline = new Deadline(CREDENTIALS_TIMEOUT, undefined);
    try {
      const secret = await readSecret(clientSecret, deadline);
      const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: secret };
      const result = await this.#wire.exchange(
        {
          method: 'POST',
          path: `${baseUrl.path}oauth2/token`,
          headers: ['accept', 'application/json', 'content-type', 'application/x-www-form-urlencoded'],
          body: new URLSearchParams(form).toString(),
          stream: false,
        },
        deadline,
      );
      if (result instanceof WireFailure) {
        throw tokenFailure(result);
      }
      return readToken(result.status, result.text);
    } finally {
      deadline.dispose();
    }
  }
}

/** The error for a status of the token endpoint, unless it is 200. */
function statusError(status: number): MedplumError | undefined {
  const details = { status, retryable: status === 429 || status >= 500 };
  if (status === 429) {
    return new MedplumRateLimitError(
      'The token endpoint refused the request because the quota of the client is used up. Try again later.',
      details,
    );
  }
  if (status >= 500) {
    return new MedplumServerError(
      `The token endpoint failed with ${status}. The server or a proxy in front of it has a problem; try again later.`,
      details,
    );
  }
  if (status >= 300 && status < 400) {
    return new MedplumProtocolError(
      `The token endpoint answered with the redirect ${status}. Redirects are not followed: set baseUrl to the final address.`,
      details,
    );
  }
  return status === 200
    ? undefined
    : new MedplumUnauthorizedError(
        `The token endpoint refused the credentials of the client with ${status}. Check clientId and clientSecret.`,
        details,
      );
}

function readToken(status: number, text: string): Token {
  const refusal = statusError(status);
  if (refusal) {
    throw refusal;
  }
  let response: { access_token?: unknown; token_type?: unknown; expires_in?: unknown } | null;
  try {
    response = JSON.parse(text) as typeof response;
  } catch {
    response = null;
  }
  const { access_token: token, token_type: type, expires_in: lifetime } = response ?? {};
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token) || !/^bearer$/i.test(String(type))) {
    throw new MedplumProtocolError(
      'The token endpoint sent no bearer token. Check that baseUrl is the Medplum server.',
      { status },
    );
  }
  const seconds = typeof lifetime === 'number' && lifetime > 0 ? lifetime : UNKNOWN_LIFETIME;
  const now = performance.now();
  const ahead = Math.min(60, seconds / 10);
  // Medplum's scheme is case-sensitive.
  return { authorization: `Bearer ${token}`, renewAt: now + (seconds - ahead) * 1000, expiresAt: now + seconds * 1000 };
}

/** The typed error for a token request without a usable response. */
function tokenFailure({ code, status, cause }: WireFailure): MedplumError {
  if (cause instanceof Cancelled) {
    return new MedplumTimeoutError(`The token endpoint did not answer within ${CREDENTIALS_TIMEOUT} ms.`, {
      retryable: true,
    });
  }
  if (code === 'REDIRECT_FOLLOWED') {
    return new MedplumProtocolError(
      'The token endpoint answered with a redirect, and the dispatcher followed it with the client secret. Leave out its redirect interceptor, and change the secret.',
    );
  }
  // An error status says more than what became of the rest of the response.
  const refusal = status === undefined ? undefined : statusError(status);
  if (refusal) {
    return refusal;
  }
  if (code === TOO_LARGE) {
    return new MedplumProtocolError(
      `The token endpoint sent more than ${MAX_BYTES} bytes, which is no token. Check that baseUrl is the Medplum server.`,
      { status },
    );
  }
  return new MedplumConnectionError(
    `The token endpoint could not be reached (${code}). Check baseUrl and the network.`,
    {
      retryable: true,
      cause,
    },
  );
}
