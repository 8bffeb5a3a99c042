import type { RequestEvent } from './request-event';

/**
 * Where events go to be kept. The library calls `write` with one batch at a time, oldest event first, and again with the
 * same batch when it rejects: an event arrives at least once, and its `id` together with `outcome` tells a repetition.
 *
 * Calls that a sink itself makes to Medplum are published on `MedplumAudit.events$`, and never handed to sinks.
 */
export interface MedplumAuditSink {
  /** What logs and statistics call it. Default: the name of its class. */
  readonly name?: string;
  /** Resolves when the batch is safe where it belongs. */
  write(batch: readonly RequestEvent[]): Promise<void>;
  /** Called once, after the last batch, when the app shuts down. */
  close?(): Promise<void> | void;
}

/** How events wait for a sink. */
export interface MedplumAuditSinkOptions {
  /** Most events that wait in memory for one sink. Default 10,000. */
  readonly maxQueued?: number;
  /**
   * What becomes of further events while the queue is full: `drop` counts them (default), a sink gets them instead, a file
   * for instance. In the mode `require` the call is refused instead.
   */
  readonly onFull?: 'drop' | MedplumAuditSink;
  /** Most events in one batch. Default 100. */
  readonly batchSize?: number;
}

/** How events are kept. */
export interface MedplumAuditOptions extends MedplumAuditSinkOptions {
  /**
   * `observe` (default): sinks never hold a call up. `require`: a call that changes something is sent when every sink
   * has accepted a record of the intent, and every call returns when they have accepted the record of its outcome; else
   * it fails with `AuditSinkError`.
   */
  readonly mode?: 'observe' | 'require';
  /** Sinks of this client. `MedplumAudit.addSink()` adds some for all clients. */
  readonly sinks?: readonly MedplumAuditSink[];
  /** In the mode `require`: how long a call waits for sinks to accept one record, in ms. Default 5,000. */
  readonly writeTimeout?: number;
  /**
   * How long the app waits for sinks when it shuts down, in ms. Default 5,000. It waits for a sink that hangs twice:
   * before calls in flight have come to an end (option `shutdownTimeout`) and after.
   */
  readonly flushTimeout?: number;
}

/** How a sink is doing. */
export interface MedplumAuditSinkStats {
  /** Name of the sink. */
  readonly sink: string;
  /** Events that wait, those of the batch under way included. */
  readonly queued: number;
  /** Events that it has accepted. */
  readonly written: number;
  /** Batches that it has refused. */
  readonly failures: number;
  /** Events that nobody has kept, because the queue was full or the app ended. */
  readonly dropped: number;
  /** Events that the sink of `onFull` got instead. */
  readonly spilled: number;
}

/** Name of a sink for logs. */
export function sinkName(sink: MedplumAuditSink): string {
  return sink.name ?? sink.constructor.name;
}
