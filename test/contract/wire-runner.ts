import { randomBytes } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import type { Seeded, WireAnswer, WireCase, WireExpectation } from './wire-case.types';
import { differences, parseAnswer } from './wire-match';
import { WireVariables } from './wire-variables';

/** With fewer points left in the quota, the runner waits for the next minute. */
const FEW_POINTS = 5000;

/** Replays recorded cases on a server that was seeded with the fixtures. */
export class WireRunner {
  private readonly variables: WireVariables;
  private readonly tokens = new Map<string, string>();
  private readonly agents = { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent({ keepAlive: true }) };
  private readonly base: string;
  private pausedUntil = 0;

  /** @param base the URL of the server, if it differs from the base URL that the server writes into its responses */
  constructor(
    private readonly seeded: Seeded,
    base = seeded.baseUrl,
  ) {
    this.base = base.endsWith('/') ? base : `${base}/`;
    this.variables = new WireVariables(seeded, `run${randomBytes(5).toString('hex')}`);
  }

  /** Sends one case and returns how the response differs from the recorded one. */
  async run(wireCase: WireCase): Promise<string[]> {
    await wait(Math.max(0, this.pausedUntil - Date.now()));
    const answer = await this.perform(wireCase);
    this.noteQuota(answer);
    const { unordered, ...rest } = wireCase.expect;
    const expected = this.variables.fill(rest) as WireExpectation;
    return [
      ...differences({ ...expected, ...(unordered && { unordered }) }, answer),
      ...captureAll(wireCase, answer, this.variables),
    ];
  }

  close(): void {
    this.agents.http.destroy();
    this.agents.https.destroy();
  }

  private async perform({ client, auth, onBehalfOf, extended, request }: WireCase): Promise<WireAnswer> {
    const own = this.variables.fill(request.headers ?? {}) as Record<string, string | null>;
    const has = (name: string): boolean => Object.keys(own).some((key) => key.toLowerCase() === name);
    const headers: [string, string | string[]][] = [];
    if (!has('authorization') && client !== 'none') {
      headers.push(['Authorization', await this.authorization(client, auth)]);
    }
    if (onBehalfOf !== null && onBehalfOf !== undefined) {
      headers.push(['X-Medplum-On-Behalf-Of', this.variables.fill(onBehalfOf) as string | string[]]);
    }
    if (extended) {
      headers.push(['X-Medplum', 'extended']);
    }
    if (request.body !== undefined && !has('content-type')) {
      headers.push(['Content-Type', 'application/fhir+json']);
    }
    for (const [name, value] of Object.entries(own)) {
      if (value !== null) {
        headers.push([name, value]);
      }
    }
    const body = request.body === undefined ? undefined : this.variables.fill(request.body);
    const path = String(this.variables.fill(request.path));
    const relative = path.startsWith(this.seeded.baseUrl) ? path.slice(this.seeded.baseUrl.length) : path;
    return this.send(
      request.method,
      relative,
      headers,
      typeof body === 'object' ? JSON.stringify(body) : (body as string),
    );
  }

  private async authorization(client: string, auth: WireCase['auth']): Promise<string> {
    if (client === 'badsecret') {
      return basic(this.variables.get('C.id'), 'not-the-secret');
    }
    const [id, secret] = [this.variables.get(`${client}.id`), this.variables.get(`${client}.secret`)];
    if (auth !== 'bearer') {
      return basic(id, secret);
    }
    const known = this.tokens.get(client) ?? (await this.token(id, secret));
    this.tokens.set(client, known);
    return `Bearer ${known}`;
  }

  private async token(id: string, secret: string): Promise<string> {
    const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: id, client_secret: secret });
    const type: [string, string] = ['Content-Type', 'application/x-www-form-urlencoded'];
    const { status, text } = await this.send('POST', 'oauth2/token', [type], form.toString());
    if (status !== 200) {
      throw new Error(`The server refused the token request with ${status}. Check the secrets in the seeded file.`);
    }
    return String((JSON.parse(text) as { access_token: unknown }).access_token);
  }

  /** Uses node:http, because the cases need empty, repeated and wrong headers, and malformed paths. */
  private send(
    method: string,
    path: string,
    headers: readonly (readonly [string, string | string[]])[],
    body: string | undefined,
  ): Promise<WireAnswer> {
    const { protocol, hostname, port, pathname } = new URL(this.base);
    const secure = protocol === 'https:';
    return new Promise((resolve, reject) => {
      const options = { host: hostname, port, method, path: pathname + path, timeout: 30_000 };
      const request = secure
        ? httpsRequest({ ...options, agent: this.agents.https })
        : httpRequest({ ...options, agent: this.agents.http });
      for (const [name, value] of headers) {
        request.setHeader(name, value);
      }
      if (body !== undefined) {
        request.setHeader('content-length', Buffer.byteLength(body));
      }
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString(),
          }),
        );
      });
      request.on('timeout', () => request.destroy(new Error('The server did not respond within 30 s')));
      request.on('error', reject);
      request.end(body);
    });
  }

  private noteQuota({ headers }: WireAnswer): void {
    for (const [, left, seconds] of String(headers.ratelimit ?? '').matchAll(/"fhirInteractions";r=(\d+);t=(\d+)/g)) {
      if (Number(left) < FEW_POINTS) {
        this.pausedUntil = Date.now() + (Number(seconds) + 1) * 1000;
      }
    }
  }
}

/** Keeps the values that later cases of the group need. Returns one line per value that the response does not have. */
export function captureAll({ capture = {} }: WireCase, answer: WireAnswer, variables: WireVariables): string[] {
  return Object.entries(capture).flatMap(([name, source]) => {
    const value = captured(source, answer);
    if (value === undefined) {
      return [`capture ${name}: ${source} has no value`];
    }
    variables.set(name, value);
    return [];
  });
}

function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
}

function captured(source: string, answer: WireAnswer): string | undefined {
  if (source === 'location') {
    return /([A-Z][A-Za-z]+\/[^/?]+)(?:\/_history\/[^/]+)?$/.exec(String(answer.headers.location ?? ''))?.[1];
  }
  if (source === 'etag') {
    return answer.headers.etag === undefined ? undefined : String(answer.headers.etag);
  }
  const { body } = parseAnswer(answer);
  if (source.startsWith('link:')) {
    const links = (body as { link?: { relation: string; url: string }[] }).link ?? [];
    return links.find(({ relation }) => relation === source.slice(5))?.url;
  }
  const steps = source
    .replace(/^\$\.?/, '')
    .split(/[.[\]]+/)
    .filter(Boolean);
  const value = steps.reduce<unknown>(
    (current, step) => (current as Record<string, unknown> | undefined)?.[step],
    body,
  );
  return ['string', 'number'].includes(typeof value) ? `${value as string | number}` : undefined;
}
