import { type ClientSecret, type Credentials, CREDENTIALS_TIMEOUT, readSecret } from './credentials';
import { Deadline } from './deadline';

/**
 * HTTP Basic credentials of the ClientApplication (RFC 7617). Medplum recommends them for on-behalf-of.
 *
 * If the secret comes from a function, the function is called once, and again when the server refuses the secret.
 * A function that takes longer than 10 s fails the calls that wait for it, and the next call asks it again.
 */
export class BasicCredentials implements Credentials {
  readonly #clientId: string;
  readonly #secret: ClientSecret;
  #value: string | undefined;
  #loading: Promise<string> | undefined;

  constructor(clientId: string, secret: ClientSecret) {
    this.#clientId = clientId;
    this.#secret = secret;
    if (typeof secret === 'string') {
      this.#value = this.#encode(secret);
    }
  }

  authorization(): string | Promise<string> {
    return this.#value ?? this.#load();
  }

  async renew(rejected: string): Promise<boolean> {
    if (typeof this.#secret === 'string') {
      return false;
    }
    // Another call may have renewed it already, so a late 401 does not call the function again.
    if (this.#value === rejected) {
      this.#value = undefined;
    }
    return (await this.authorization()) !== rejected;
  }

  #load(): Promise<string> {
    this.#loading ??= this.#ask().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async #ask(): Promise<string> {
    const deadline = new Deadline(CREDENTIALS_TIMEOUT, undefined);
    try {
      this.#value = this.#encode(await readSecret(this.#secret, deadline));
      return this.#value;
    } finally {
      deadline.dispose();
    }
  }

  #encode(secret: string): string {
    return `Basic ${Buffer.from(`${this.#clientId}:${secret}`, 'utf8').toString('base64')}`;
  }
}
