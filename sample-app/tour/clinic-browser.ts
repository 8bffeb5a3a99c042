/** A response of the clinic, with its body parsed. */
export interface ClinicResponse<T = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** A browser that visits the clinic. It keeps cookies, and knows nothing else about a login. */
export class ClinicBrowser {
  /** Cookies by name. A test may tamper with them. */
  readonly cookies = new Map<string, string>();

  constructor(private readonly url: string) {}

  login(name: string, password: string): Promise<ClinicResponse> {
    return this.send('POST', '/auth/login', { name, password });
  }

  get<T = unknown>(path: string, headers: Readonly<Record<string, string>> = {}): Promise<ClinicResponse<T>> {
    return this.send<T>('GET', path, undefined, headers);
  }

  async send<T = unknown>(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<ClinicResponse<T>> {
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(this.cookies.size > 0 ? { cookie: this.#cookieHeader() } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    this.#keep(response.headers.getSetCookie());
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: (text === '' ? undefined : JSON.parse(text)) as T,
    };
  }

  #cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  #keep(setCookies: readonly string[]): void {
    for (const setCookie of setCookies) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(setCookie) ?? [];
      if (value === '') {
        this.cookies.delete(name);
      } else {
        this.cookies.set(name, value);
      }
    }
  }
}
