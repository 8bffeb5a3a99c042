import type { RequestEvent } from './request-event';

/**
 * Keeps events. The library calls `write` with one batch at a time, oldest event first. When `write` rejects, it gets the
 * same batch again. So an event arrives at least once, and you recognise a repetition by its `id` and `outcome`. To
 * refuse an event for good, reject with `AuditRecordRefusedError`.
 *
 * The events of calls that a sink itself makes to Medplum appear on `MedplumAudit.events$`. Sinks never get them. A call
 * is the sink's own when the sink makes it before `write` or `close` settles, and outside every scope of a user. To act for
 * a user, a sink passes `{ onBehalfOf }`.
 */
export interface MedplumAuditSink {
  /** The name of the sink in logs and statistics. Default: the name of its class. */
  readonly name?: string | undefined;
  /** Resolves when the batch is stored safely. */
  write(batch: readonly RequestEvent[]): Promise<void>;
  /** Called once, after the last batch, when the app shuts down. */
  close?(): Promise<void> | void;
}

/** Options of the queue in which events wait for a sink. */
export interface MedplumAuditSinkOptions {
  /** The largest number of events that wait in memory for one sink. Default 10,000. */
  readonly maxQueued?: number | undefined;
  /**
   * What happens to further events while the queue is full. `drop` (default) only counts them. A sink, such as a file,
   * gets them instead. In the mode `require`, the call fails instead. The sink also gets the events that this one refuses
   * for good.
   */
  readonly onFull?: 'drop' | MedplumAuditSink | undefined;
  /** The largest number of events in one batch. Default 100. */
  readonly batchSize?: number | undefined;
}

/** The option `audit` of a client: its sinks, and whether calls wait for them. */
export interface MedplumAuditOptions extends MedplumAuditSinkOptions {
  /**
   * `observe` (default): calls never wait for sinks. `require`: a call that changes something is sent only after every
   * sink has accepted its intent, and every call returns only after every sink has accepted its outcome. Otherwise it
   * fails with `AuditSinkError`.
   */
  readonly mode?: 'observe' | 'require' | undefined;
  /** Sinks of this client. `MedplumAudit.addSink()` adds sinks for all clients. */
  readonly sinks?: readonly MedplumAuditSink[] | undefined;
  /** How long a call waits for sinks to accept one event, in ms. Only in the mode `require`. Default 5,000. */
  readonly writeTimeout?: number | undefined;
  /**
   * How long the app waits for sinks when it shuts down, in ms. Default 5,000. It waits for a hanging sink twice: before
   * and after the running calls end (option `shutdownTimeout`).
   */
  readonly flushTimeout?: number | undefined;
}

/** The state of a sink. */
export interface MedplumAuditSinkStats {
  /** Name of the sink. */
  readonly sink: string;
  /** Events that wait, including those of the current batch. */
  readonly queued: number;
  /** Events that the sink has accepted. */
  readonly written: number;
  /** Attempts to write a batch that failed and are repeated. */
  readonly failures: number;
  /** Events that are lost, because the queue was full or the app ended. */
  readonly dropped: number;
  /** Events that went to the sink of `onFull` instead. */
  readonly spilled: number;
  /**
   * Events that the sink refused for good. With a sink in `onFull`, they count as `spilled` too. Otherwise they are lost,
   * but do not count as `dropped`.
   */
  readonly refused: number;
}

/** Name of a sink for logs. */
export function sinkName(sink: MedplumAuditSink): string {
  return sink.name ?? sink.constructor.name;
}
