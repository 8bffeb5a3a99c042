import type { Pool } from 'undici';
import { CallTracing } from '../../../http/call-tracing';
import { Deadline } from '../../../http/deadline';
import { DispatcherWire } from '../../../http/dispatcher-wire';
import { quietPool } from '../../../http/pool';
import { PoolWire } from '../../../http/pool-wire';
import { type Wire, WireFailure, type WireResponse } from '../../../http/wire';
import type { BaseUrl } from '../../../shared/base-url';
import { JsonObject } from '../json-object';

/** Most bytes of one response. */
const MAX_BYTES = 8 * 2 ** 20;

/** One response of the server, with the JSON object in its body. */
export interface ProbeResponse {
  readonly status: number;
  /** The body; empty if it is no JSON object. */
  readonly body: JsonObject;
  header(name: string): string | undefined;
  /** When the request was sent and the response had arrived, in ms since the epoch by the clock of this machine. */
  readonly sentAt: number;
  readonly arrivedAt: number;
}

/** What a request of the doctor carries, besides its path. */
export interface ProbeRequest {
  readonly authorization?: string;
  readonly onBehalfOf?: string;
  /** Form fields. With them, the request is a POST. */
  readonly form?: Readonly<Record<string, string>>;
}

/** Sends single requests over the same pools as the library: no redirects, no retries, and a failure is a result. */
export class ServerProbe {
  readonly #timeout: number;
  readonly #pools = new Map<string, { readonly pool: Pool; readonly wire: Wire }>();

  /** @param timeout of each request, in ms. */
  constructor(timeout: number) {
    this.#timeout = timeout;
  }

  /** @param path relative to the base URL, without a leading slash. */
  async send(base: BaseUrl, path: string, request: ProbeRequest = {}): Promise<ProbeResponse | WireFailure> {
    const deadline = new Deadline(this.#timeout, undefined);
    const sentAt = Date.now();
    try {
      const response = await this.#wire(base.origin).exchange(
        {
          method: request.form ? 'POST' : 'GET',
          path: base.path + path,
          headers: headersOf(request),
          body: request.form && new URLSearchParams(request.form).toString(),
          stream: false,
        },
        deadline,
      );
      return response instanceof WireFailure ? response : parsed(response, sentAt, Date.now());
    } finally {
      deadline.dispose();
    }
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(({ pool }) => pool.destroy()));
  }

  #wire(origin: string): Wire {
    const known = this.#pools.get(origin);
    if (known) {
      return known.wire;
    }
    const pool = quietPool(origin, { connections: 1, connect: { timeout: this.#timeout } }, new CallTracing());
    const streaming = new DispatcherWire(pool, { origin, maxBytes: MAX_BYTES, foreign: false });
    const wire = new PoolWire(pool, origin, streaming, { maxBytes: MAX_BYTES });
    this.#pools.set(origin, { pool, wire });
    return wire;
  }
}

function headersOf({ authorization, onBehalfOf, form }: ProbeRequest): string[] {
  return [
    'accept',
    'application/fhir+json, application/json;q=0.9',
    ...(form ? ['content-type', 'application/x-www-form-urlencoded'] : []),
    ...(authorization === undefined ? [] : ['authorization', authorization]),
    ...(onBehalfOf === undefined ? [] : ['x-medplum-on-behalf-of', onBehalfOf]),
  ];
}

function parsed(response: WireResponse, sentAt: number, arrivedAt: number): ProbeResponse {
  const { status, text } = response;
  return { status, body: JsonObject.parse(text), header: (name) => response.header(name), sentAt, arrivedAt };
}
