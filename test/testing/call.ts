import type { MedplumEmulator } from 'nestjs-medplum/testing';

/** What {@link call} sends besides method and path. */
export interface CallOptions {
  onBehalfOf?: string;
  extended?: boolean;
  headers?: Record<string, string>;
  body?: unknown;
  /** `id:secret`; `null` sends no `Authorization`. Default: the emulator's first client. */
  credentials?: string | null;
}

/** A response, with its body as text and, if it is JSON, as a value. */
export interface CallResponse {
  status: number;
  headers: Headers;
  text: string;
  json: Record<string, unknown>;
  /** The body's `id`, or an empty string. */
  id: string;
}

/** Sends one plain HTTP request to an emulator, because these tests check the server without the library. */
export async function call(
  emulator: MedplumEmulator,
  method: string,
  path: string,
  { onBehalfOf, extended, headers, body, credentials }: CallOptions = {},
): Promise<CallResponse> {
  const { clientId, clientSecret } = emulator.options();
  const login = credentials === undefined ? `${clientId}:${clientSecret}` : credentials;
  const response = await fetch(emulator.baseUrl + path, {
    method,
    redirect: 'manual',
    headers: {
      ...(login !== null && { authorization: `Basic ${Buffer.from(login).toString('base64')}` }),
      ...(onBehalfOf !== undefined && { 'x-medplum-on-behalf-of': onBehalfOf }),
      ...(extended && { 'x-medplum': 'extended' }),
      ...(body !== undefined && { 'content-type': 'application/fhir+json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') && text !== '';
  const json = isJson ? parse(text) : {};
  const id = typeof json.id === 'string' ? json.id : '';
  return { status: response.status, headers: response.headers, text, json, id };
}

/** The text that a bot returns comes as JSON, but is not always JSON. */
function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
