import { Readable } from 'node:stream';
import { isMedplumError } from '../errors/medplum.error';
import { fetchHeaders, fetchRequest } from '../fhir/fetch-request';
import { rawInteraction } from '../fhir/raw';
import type { TransportResponse } from '../http/transport.types';
import type { MedplumRequestOptions } from '../medplum-request.options';
import { type CoreClientOptions, MemoryStorage } from './core-client-options';
import { MedplumRawMethods } from './raw-methods';

/** The second argument of `fetch`: the standard one, with the options of every call. */
export interface MedplumFetchInit extends Omit<MedplumRequestOptions, 'signal'> {
  /** Default `GET`. */
  readonly method?: string;
  /** Text, bytes, `URLSearchParams`, a `Blob` or a `ReadableStream`. */
  readonly body?: unknown;
  /** Ends the call. */
  readonly signal?: AbortSignal | null;
}

/** What else the standard and `@medplum/core` put into the second argument; none of it has a meaning here. */
const IGNORED = (
  'method body cache credentials duplex integrity keepalive mode priority redirect referrer referrerPolicy window ' +
  'followRedirectOnOk followRedirectOnCreated pollStatusOnAccepted pollStatusPeriod maxRetries maxRetryTime disableAutoBatch'
).split(' ');

/** Headers of an answer that are passed on. */
const PASSED_ON = [
  'content-disposition',
  'content-location',
  'content-type',
  'etag',
  'last-modified',
  'location',
  'ratelimit',
  'retry-after',
  'x-request-id',
];

const WITHOUT_BODY = new Set([204, 205, 304]);

/** `fetch` for clients that bring their own methods: `@medplum/core`. */
export abstract class MedplumFetchMethods extends MedplumRawMethods {
  /**
   * The standard `fetch` for addresses below the base URL, made for somebody like every other call: with the credentials
   * of the client, the identity of the moment when it is called, retries of what is safe, and an audit event. It may be
   * passed on as it is: `new MedplumClient({ fetch: medplum.fetch, … })`.
   *
   * An error status of the server is an answer here; calls without one (refused, timed out, broken) reject with a
   * `MedplumError`. `X-Medplum` of the caller is replaced. Refused, with nothing sent: other headers of the library, other
   * servers, paths of tokens and logins, and batches of nothing but GETs, in which a client mixes its callers.
   */
  readonly fetch = (input: string | URL, init: MedplumFetchInit = {}): Promise<Response> => {
    const { headers, signal, ...rest } = init;
    const given = headers === undefined ? undefined : fetchHeaders(headers);
    const options = { ...rest, ...(given ? { headers: given } : {}), ...(signal ? { signal } : {}) };
    const call = this.calls.pin(options, { further: IGNORED });
    const interaction = rawInteraction('GET');
    return call
      .send(interaction, () => fetchRequest(input, init.method, init.body, this.calls.baseUrl))
      .then(responseOf, errorResponseOf);
  };

  /**
   * Options for a `MedplumClient` of `@medplum/core` that is safe to share between users: this `fetch`, no cache, no
   * automatic batches, nothing that is kept outside the client. Do not log it in, and do not turn these back on.
   */
  coreClientOptions(): CoreClientOptions {
    const { origin, path } = this.calls.baseUrl;
    return {
      baseUrl: origin + path,
      fetch: this.fetch,
      cacheTime: 0,
      autoBatchTime: 0,
      maxRetryTime: 0,
      storage: new MemoryStorage(),
    };
  }
}

function responseOf({ status, body, header }: TransportResponse): Response {
  const headers = new Headers();
  for (const name of PASSED_ON) {
    const value = header(name);
    if (value !== undefined) {
      headers.set(name, value);
    }
  }
  if (!(body instanceof Readable) || WITHOUT_BODY.has(status)) {
    if (body instanceof Readable) {
      body.resume();
    }
    return new Response(null, { status, headers });
  }
  return new Response(Readable.toWeb(body), {
    status,
    headers,
  });
}

/** An error status is an answer of the server. */
function errorResponseOf(error: unknown): Response {
  if (!isMedplumError(error) || error.status === undefined || error.status < 300) {
    throw error;
  }
  const { status, outcome } = error;
  return outcome
    ? Response.json(outcome, { status, headers: { 'content-type': 'application/fhir+json' } })
    : new Response(null, { status });
}
