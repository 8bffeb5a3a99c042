import type { EventEmitter } from 'node:events';
import type { Readable } from 'node:stream';

/** What the library asks of a dispatcher's answer. */
export interface MedplumDispatcherResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readable & { text(): Promise<string>; dump(): Promise<void> };
}

/** One request as it is handed to the dispatcher. */
export interface MedplumDispatcherRequest {
  readonly origin: string;
  readonly path: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers: Record<string, string>;
  readonly body?: string | Uint8Array | Readable | null;
  readonly signal?: EventEmitter;
}

/**
 * The part of undici's `Dispatcher` that the library calls. It is typed by shape because the classes of undici 7 and 8
 * are not assignable to each other; an `Agent`, `Pool` or `MockAgent` of either fits.
 */
export interface MedplumDispatcher {
  /** Whether it was destroyed, if it says so: a request that is handed over then is surely not sent. */
  readonly destroyed?: boolean;
  request(options: MedplumDispatcherRequest): Promise<MedplumDispatcherResponse>;
}
