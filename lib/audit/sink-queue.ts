import { AuditRecordRefusedError } from './audit-record-refused.error';
import {
  type MedplumAuditSink,
  type MedplumAuditSinkOptions,
  type MedplumAuditSinkStats,
  sinkName,
} from './audit-sink';
import { shownError } from '../errors/shown';
import type { RequestEvent } from './request-event';

const MAX_QUEUED = 10_000;
const BATCH_SIZE = 100;
/** Pause before a batch that the sink could not write is written again, in ms. It doubles each time, up to the longest. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5_000;

/** What a queue needs from the audit that it belongs to. */
export interface SinkQueueHost {
  /** Calls `fn` outside every scope. */
  outside<T>(fn: () => T): T;
  /** Like `outside`. Until `fn` settles, the calls to Medplum that it makes are marked as calls of a sink. */
  asSink(fn: () => Promise<void>): Promise<void>;
  /** The queue of a sink. It takes the events that do not fit here. */
  queueOf(sink: MedplumAuditSink): SinkQueue;
  warn(text: string): void;
}

interface Waiting {
  readonly event: RequestEvent;
  /** Called when the sink has accepted or refused the event. Absent when nobody waits for that. */
  settle?: ((error: unknown) => void) | undefined;
}

/** The events that wait for one sink. It is bounded, keeps their order, and writes one batch at a time until the sink takes it. */
export class SinkQueue {
  readonly #sink: MedplumAuditSink;
  readonly #host: SinkQueueHost;
  readonly #maxQueued: number;
  readonly #batchSize: number;
  /** The sink that takes what does not fit here. */
  readonly overflow: MedplumAuditSink | undefined;
  readonly #name: string;
  /** Whether other queues pass on to this one what they cannot write. */
  takesRest = false;
  #waiting: Waiting[] = [];
  #draining: Promise<void> | undefined;
  #closing = false;
  #wake: (() => void) | undefined;
  #failing = 0;
  #fullSaid = false;
  #refusedSaid = false;
  #written = 0;
  #failures = 0;
  #dropped = 0;
  #spilled = 0;
  #refused = 0;

  constructor(sink: MedplumAuditSink, options: MedplumAuditSinkOptions, host: SinkQueueHost) {
    this.#sink = sink;
    this.#host = host;
    this.#maxQueued = options.maxQueued ?? MAX_QUEUED;
    this.#batchSize = options.batchSize ?? BATCH_SIZE;
    this.overflow = this.#overflowOf(options.onFull);
    this.#name = sinkName(sink);
  }

  /** Whether the queue works as these options say. Options that are left out do not count. */
  fits({ maxQueued, batchSize, onFull }: MedplumAuditSinkOptions): boolean {
    return (
      (maxQueued ?? this.#maxQueued) === this.#maxQueued &&
      (batchSize ?? this.#batchSize) === this.#batchSize &&
      (onFull === undefined || this.#overflowOf(onFull) === this.overflow)
    );
  }

  get stats(): MedplumAuditSinkStats {
    return Object.freeze({
      sink: this.#name,
      queued: this.#waiting.length,
      written: this.#written,
      failures: this.#failures,
      dropped: this.#dropped,
      spilled: this.#spilled,
      refused: this.#refused,
    });
  }

  /** Adds an event without waiting for the sink. */
  add(event: RequestEvent): void {
    if (this.#waiting.length < this.#maxQueued) {
      this.#push({ event });
      return;
    }
    if (!this.#fullSaid) {
      this.#fullSaid = true;
      const where = this.overflow ? `go to ${sinkName(this.overflow)}` : 'are lost';
      this.#host.warn(
        `The audit sink ${this.#name} is too slow or down. Its queue is full, so further events ${where}.`,
      );
    }
    this.#giveUp(event);
  }

  /**
   * Adds an event and waits until the sink accepts it. When this rejects, the event stays in the queue and may still
   * arrive, unless the sink refused it for good.
   *
   * @param timeout in ms.
   */
  accept(event: RequestEvent, timeout: number): Promise<void> {
    if (this.#waiting.length >= this.#maxQueued) {
      return Promise.reject(new Error('queue full'));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(new Error('timeout')), timeout);
      const settle = (error: unknown): void => {
        clearTimeout(timer);
        if (error === undefined) {
          resolve();
        } else {
          reject(error);
        }
      };
      this.#push({ event, settle });
      // The sink may be back, and a call waits for it: try now, not after the pause.
      this.#wake?.();
    });
  }

  /** Writes the waiting events, for at most `timeout` ms. */
  async flush(timeout: number): Promise<void> {
    if (!this.#draining) {
      return;
    }
    this.#closing = true;
    this.#wake?.();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, timeout)));
    await Promise.race([this.#draining, late]);
    clearTimeout(timer);
    this.#closing = false;
  }

  /** Empties the queue for good. Its events go to the sink of `onFull`, or count as lost. */
  abandon(): void {
    const rest = this.#waiting.splice(0);
    this.#closing = true;
    this.#wake?.();
    for (const { event, settle } of rest) {
      settle?.(new Error('shut down'));
      this.#giveUp(event);
    }
    if (this.#dropped > 0) {
      this.#host.warn(
        `${this.#dropped} audit events are lost: the sink ${this.#name} did not take them in time. Set a larger maxQueued or flushTimeout, or another sink as onFull.`,
      );
    }
  }

  /** Closes the sink. */
  async close(): Promise<void> {
    await this.#host.asSink(async () => this.#sink.close?.());
  }

  #overflowOf(onFull: MedplumAuditSinkOptions['onFull']): MedplumAuditSink | undefined {
    return typeof onFull === 'object' && onFull !== this.#sink ? onFull : undefined;
  }

  #giveUp(event: RequestEvent): void {
    if (this.overflow) {
      this.#spilled++;
      this.#host.queueOf(this.overflow).add(event);
    } else {
      this.#dropped++;
    }
  }

  #push(item: Waiting): void {
    this.#waiting.push(item);
    this.#draining ??= this.#host.outside(() => this.#drain()).finally(() => (this.#draining = undefined));
  }

  async #drain(): Promise<void> {
    // Wait for the other events of this turn, so that they share a batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      await this.#write(this.#waiting.slice(0, this.#batchSize));
    }
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#host.asSink(() => this.#sink.write(Object.freeze(batch.map(({ event }) => event))));
    } catch (error) {
      const rest = error instanceof AuditRecordRefusedError ? this.#setAside(batch, error) : batch;
      if (rest.length === batch.length) {
        await this.#failed(batch, error);
      } else if (rest.length > 0 && rest[0] === this.#waiting[0]) {
        // Only the rest: further events could be refused as well, and keep those that are fine waiting.
        await this.#write(rest);
      }
      return;
    }
    this.#accepted(batch);
  }

  /** Takes the events that the sink refused for good out of the queue. Returns the rest of the batch. */
  #setAside(batch: readonly Waiting[], error: AuditRecordRefusedError): readonly Waiting[] {
    const refused = new Set(batch.filter(({ event }) => error.events.includes(event)));
    if (refused.size === 0) {
      return batch;
    }
    if (!this.#refusedSaid) {
      this.#refusedSaid = true;
      const where = this.overflow ? `go to ${sinkName(this.overflow)}` : 'are lost';
      const { name, code } = shownError(error.cause ?? error);
      this.#host.warn(
        `The audit sink ${this.#name} refused events for good: ${code ?? name}. They ${where}, and the next events follow.`,
      );
    }
    // If the queue was abandoned meanwhile, they were given up already.
    const mine = this.#waiting.filter((item) => refused.has(item));
    this.#waiting = this.#waiting.filter((item) => !refused.has(item));
    for (const { event, settle } of mine) {
      this.#refused++;
      settle?.(error);
      if (this.overflow) {
        this.#giveUp(event);
      }
    }
    return batch.filter((item) => !refused.has(item));
  }

  #accepted(batch: readonly Waiting[]): void {
    // If the queue was abandoned meanwhile, the batch is no longer in it.
    if (this.#waiting[0] === batch[0]) {
      this.#waiting.splice(0, batch.length);
    }
    this.#written += batch.length;
    if (this.#failing > 0) {
      this.#host.warn(`The audit sink ${this.#name} accepts events again.`);
    }
    this.#failing = 0;
    this.#fullSaid = false;
    this.#refusedSaid = false;
    batch.forEach(({ settle }) => settle?.(undefined));
  }

  async #failed(batch: readonly Waiting[], error: unknown): Promise<void> {
    this.#failures++;
    if (this.#failing++ === 0) {
      const { name, code } = shownError(error);
      const what = code === undefined || code === name ? name : `${name} (${code})`;
      this.#host.warn(`The audit sink ${this.#name} failed: ${what}. Its events wait, and it is tried again.`);
    }
    for (const item of batch) {
      item.settle?.(error ?? new Error('refused'));
      item.settle = undefined;
    }
    const pause = this.#closing ? FIRST_PAUSE : Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (this.#failing - 1));
    await new Promise<void>((resolve) => {
      // A sink that is down must not keep the process alive.
      const timer = setTimeout(resolve, pause).unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}
