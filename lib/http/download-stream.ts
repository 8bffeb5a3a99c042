import { AsyncResource } from 'node:async_hooks';
import { Readable } from 'node:stream';
import { isMedplumError, type MedplumError } from '../errors/medplum.error';
import { MedplumProtocolError } from '../errors/response.errors';
import { MedplumAbortError, MedplumContentTooLargeError } from '../errors/transport.errors';
import { cancelledError } from './failure-error';
import { Cancelled, type Deadline } from './deadline';
import { failureCode } from './transport-failure';

/** The limits of a download. */
export interface DownloadLimits {
  /** `GET /fhir/R4/Binary/{id}`: how error texts name the request. */
  readonly call: string;
  /** In bytes; `undefined`: no limit. */
  readonly maxBytes: number | undefined;
  /** In ms. */
  readonly timeout: number;
}

/**
 * The content of a response. It fails with a `MedplumError` when it is too long, too slow, aborted or cut off, and then
 * releases its connection. A reader that stops early (`destroy()`, `break`) releases the connection too.
 *
 * undici emits data in the async context of the call that opened the connection. This stream emits everything in the
 * context of its own call, so that a listener acts for the right user.
 */
export class DownloadStream extends Readable {
  /** Resolves when the stream is closed: to `undefined` if it was read to its end, else to the error. */
  readonly finished: Promise<MedplumError | undefined>;
  readonly #source: Readable;
  readonly #deadline: Deadline;
  readonly #limits: DownloadLimits;
  readonly #onAbort: () => void;
  #finish: (error: MedplumError | undefined) => void = () => undefined;
  #read = 0;
  #complete = false;

  /** @throws MedplumContentTooLargeError when the response declares more than `maxBytes`. Nothing is read then. */
  constructor(source: Readable, declared: string | undefined, deadline: Deadline, limits: DownloadLimits) {
    super();
    this.#source = source;
    this.#deadline = deadline;
    this.#limits = limits;
    this.finished = new Promise((resolve) => (this.#finish = resolve));
    if (limits.maxBytes !== undefined && Number(declared) > limits.maxBytes) {
      source.on('error', () => undefined).destroy();
      throw this.#tooLarge();
    }
    // When nobody reads the stream, the deadline ends it. That must not become an uncaught exception.
    this.on('error', () => undefined);
    const context = new AsyncResource('MedplumDownload');
    this.#onAbort = context.bind(() => this.destroy(this.#failure(deadline.reason)));
    deadline.once('abort', this.#onAbort);
    source.on(
      'data',
      context.bind((chunk: Uint8Array) => this.#take(chunk)),
    );
    source.on(
      'end',
      context.bind(() => this.#end()),
    );
    source.on(
      'error',
      context.bind((cause: unknown) => this.destroy(this.#failure(cause))),
    );
    source.on(
      'close',
      context.bind(() => this.#complete || this.destroy(this.#failure(undefined))),
    );
    source.pause();
  }

  override _read(): void {
    this.#source.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#deadline.off('abort', this.#onAbort);
    this.#deadline.dispose();
    if (!this.#source.destroyed) {
      this.#source.on('error', () => undefined).destroy();
    }
    this.#finish(this.#complete ? undefined : this.#ended(error));
    callback(error);
  }

  /** Why the stream ended early: its error, or a reader that gave up. */
  #ended(error: Error | null): MedplumError {
    return isMedplumError(error)
      ? error
      : new MedplumAbortError(`${this.#limits.call}: the content was not read to its end.`);
  }

  #take(chunk: Uint8Array): void {
    this.#read += chunk.byteLength;
    if (this.#limits.maxBytes !== undefined && this.#read > this.#limits.maxBytes) {
      this.destroy(this.#tooLarge());
    } else if (!this.push(chunk)) {
      this.#source.pause();
    }
  }

  #end(): void {
    this.#complete = true;
    this.push(null);
  }

  #tooLarge(): MedplumError {
    const { call, maxBytes } = this.#limits;
    return new MedplumContentTooLargeError(
      `${call}: the content is larger than the ${maxBytes} bytes that are allowed (maxBytes).`,
    );
  }

  #failure(cause: unknown): MedplumError {
    const { call, timeout } = this.#limits;
    const reason = this.#deadline.reason ?? cause;
    if (reason instanceof Cancelled) {
      return cancelledError(reason.reason, call, `was not read to its end within its timeout of ${timeout} ms.`);
    }
    return new MedplumProtocolError(`${call}: the content was cut off (${failureCode(cause)}).`, { cause });
  }
}
