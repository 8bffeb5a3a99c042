import { isMedplumError, type MedplumError } from '../errors/medplum.error';
import {
  MedplumProtocolError,
  MedplumRateLimitError,
  MedplumServerError,
  MedplumUnauthorizedError,
} from '../errors/response.errors';
import { MedplumConnectionError, MedplumTimeoutError } from '../errors/transport.errors';
import type { BaseUrl } from '../shared/base-url';
import { type ClientSecret, type Credentials, readSecret } from './credentials';
import { Cancelled, Deadline } from './deadline';
import type { MedplumDispatcher } from './medplum-dispatcher';
import { failureCode } from './transport-failure';

/** Time limit of a token request, in ms. All waiting calls share the request, so the limit of one call does not end it. */
const TIMEOUT = 10_000;
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
  #token: Token | undefined;
  #fetching: Promise<string> | undefined;
  #failure: { readonly error: MedplumError; readonly until: number } | undefined;

  constructor(options: OAuthClientCredentialsOptions) {
    this.#options = options;
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
    const { baseUrl, dispatcher, clientId, clientSecret } = this.#options;
    const deadline = new Deadline(TIMEOUT, undefined);
    try {
      const secret = await deadline.race(readSecret(clientSecret));
      const { statusCode, body } = await deadline.race(
        dispatcher.request({
          origin: baseUrl.origin,
          path: `${baseUrl.path}oauth2/token`,
          method: 'POST',
          headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({
            grant_type: 'client_credentials',
            client_id: clientId,
            client_secret: secret,
          }).toString(),
          signal: deadline,
        }),
      );
      return readToken(statusCode, await deadline.race(body.text()));
    } catch (cause) {
      throw tokenError(cause);
    } finally {
      deadline.dispose();
    }
  }
}

function readToken(status: number, text: string): Token {
  const details = { status, retryable: status === 429 || status >= 500 };
  if (status === 429) {
    throw new MedplumRateLimitError(
      'The token endpoint refused the request because the quota of the client is used up. Try again later.',
      details,
    );
  }
  if (status >= 500) {
    throw new MedplumServerError(
      `The token endpoint failed with ${status}. The server or a proxy in front of it has a problem; try again later.`,
      details,
    );
  }
  if (status !== 200) {
    throw new MedplumUnauthorizedError(
      `The token endpoint refused the credentials of the client with ${status}. Check clientId and clientSecret.`,
      details,
    );
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
      details,
    );
  }
  const seconds = typeof lifetime === 'number' && lifetime > 0 ? lifetime : UNKNOWN_LIFETIME;
  const now = performance.now();
  const ahead = Math.min(60, seconds / 10);
  // Medplum's scheme is case-sensitive.
  return { authorization: `Bearer ${token}`, renewAt: now + (seconds - ahead) * 1000, expiresAt: now + seconds * 1000 };
}

function tokenError(cause: unknown): MedplumError {
  if (cause instanceof Cancelled) {
    return new MedplumTimeoutError(`The token endpoint did not answer within ${TIMEOUT} ms.`, { retryable: true });
  }
  if (isMedplumError(cause)) {
    return cause;
  }
  return new MedplumConnectionError(
    `The token endpoint could not be reached (${failureCode(cause)}). Check baseUrl and the network.`,
    {
      retryable: true,
      cause,
    },
  );
}
