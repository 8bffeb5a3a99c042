import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { type BeforeApplicationShutdown, Injectable, Logger } from '@nestjs/common';
import { type Observable, Subject } from 'rxjs';
import { shownError } from '../errors/shown';
import { type MedplumAuditContext, type MedplumAuditContextResolver, readAuditContext } from './audit-context';
import {
  type MedplumAuditSink,
  type MedplumAuditSinkOptions,
  type MedplumAuditSinkStats,
  sinkName,
} from './audit-sink';
import { GuardedObservable } from './guarded-observable';
import { RecordedRequestEvent, type RequestEventPlace, type RequestFacts } from './recorded-request-event';
import type { RequestEvent } from './request-event';
import { SinkQueue, type SinkQueueHost } from './sink-queue';

/** @internal One client whose calls are recorded. */
export interface AuditedClient {
  /** In ms. */
  readonly flushTimeout: number;
  /** Resolves when no call is running. Calls that take too long are aborted. */
  settle(): Promise<void>;
}

/**
 * Says that a sink is at work. AsyncLocalStorage is sticky: a shared connection that a sink is the first to open keeps the
 * mark for ever. That is why the mark has an end.
 */
interface SinkMark {
  isOpen: boolean;
}

/**
 * The trail of all calls to Medplum in this app. Every call of every client publishes one event, whether it succeeds,
 * fails or is refused.
 */
@Injectable()
export class MedplumAudit implements BeforeApplicationShutdown {
  readonly #logger = new Logger('MedplumAudit');
  readonly #subject = new Subject<RequestEvent>();
  // Created while the app starts, so outside every scope. Listeners run in it, never under the identity of a request.
  readonly #outside = new AsyncResource('MedplumAudit');
  readonly #inSink = new AsyncLocalStorage<SinkMark>();
  readonly #queues = new Map<MedplumAuditSink, SinkQueue>();
  readonly #shared = new Set<SinkQueue>();
  readonly #clients = new Set<AuditedClient>();
  readonly #host: SinkQueueHost = {
    outside: (fn) => this.outside(fn),
    asSink: (fn) => this.#asSink(fn),
    queueOf: (sink) => this.register(sink),
    warn: (text) => this.#logger.warn(text),
  };
  #end: Promise<void> | undefined;
  #codeSaid = false;

  /**
   * Emits one {@link RequestEvent} per call, when the call ends. A listener that throws harms neither the call nor other
   * listeners, also after `pipe()`. The log names only the class of its error. Completes when the app shuts down.
   *
   * Listeners run outside every scope. `merge()` and similar functions create plain Observables without this protection,
   * so handle errors there.
   */
  readonly events$: Observable<RequestEvent> = new GuardedObservable(this.#subject, (error) =>
    this.#logger.warn(
      `A listener of MedplumAudit.events$ failed: ${shownError(error).name}. Handle its errors in the listener.`,
    ),
  );

  /**
   * Adds a sink that gets the events of all clients from now on. Use it for sinks that need other providers, where the
   * option `audit.sinks` cannot help. A sink gets each event once, however often you add it.
   */
  addSink(sink: MedplumAuditSink, options?: MedplumAuditSinkOptions): void {
    this.#shared.add(this.register(sink, options));
  }

  /** The state of each sink: how many events wait, were written, and were lost. */
  get sinkStats(): readonly MedplumAuditSinkStats[] {
    return [...this.#queues.values()].map((queue) => queue.stats);
  }

  /** @internal The queue of a sink. All clients that share the sink share this queue, and so its order. */
  register(sink: MedplumAuditSink, options: MedplumAuditSinkOptions = {}): SinkQueue {
    const known = this.#queues.get(sink);
    if (known) {
      if (!known.fits(options)) {
        this.#logger.warn(
          `The audit sink ${sinkName(sink)} was added before, with other options, and these are ignored. Give maxQueued, batchSize and onFull where the sink is added first.`,
        );
      }
      return known;
    }
    const queue = new SinkQueue(sink, options, this.#host);
    this.#queues.set(sink, queue);
    if (queue.overflow) {
      this.register(queue.overflow).takesRest = true;
    }
    return queue;
  }

  /** @internal */
  addClient(client: AuditedClient): void {
    this.#clients.add(client);
  }

  /** @internal Queues that get the events of all clients. */
  get sharedQueues(): ReadonlySet<SinkQueue> {
    return this.#shared;
  }

  /** @internal Whether {@link MedplumAudit.events$} has a listener. */
  get isObserved(): boolean {
    return this.#subject.observed;
  }

  /** @internal Calls `fn` outside every scope. */
  outside<T>(fn: () => T): T {
    return this.#outside.runInAsyncScope(fn);
  }

  /** @internal Whether the caller is a sink, inside `write` or `close`. */
  get isInSink(): boolean {
    return this.#inSink.getStore()?.isOpen === true;
  }

  /** @internal What the app says about the call that is being made. A resolver that throws does not fail the call. */
  contextOf(resolver: MedplumAuditContextResolver | undefined): MedplumAuditContext | undefined {
    try {
      return resolver && readAuditContext(resolver(), () => this.#warnOfCode());
    } catch (error) {
      this.#logger.warn(
        `The auditContext function failed: ${shownError(error).name}. The event of this call has no context. Mend the function in the options of MedplumModule.`,
      );
      return undefined;
    }
  }

  /** @internal Emits the event of `facts` and returns it. `undefined` when there is no listener and no sink. */
  publish(facts: RequestFacts, answer: unknown, place: RequestEventPlace, forSinks: boolean): RequestEvent | undefined {
    if (!forSinks && !this.isObserved) {
      return undefined;
    }
    const event = new RecordedRequestEvent(facts, place, answer);
    if (event.outcome !== 'pending' && this.isObserved) {
      this.#outside.runInAsyncScope(() => this.#subject.next(event));
    }
    return event;
  }

  /** @internal Waits for the calls of all clients and for the sinks, then closes the sinks. Runs once. */
  end(): Promise<void> {
    return (this.#end ??= this.#finish());
  }

  /** Writes the waiting events while everything that sinks may need is still open. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.#flush(this.#flushTimeout);
  }

  /** @internal Called when a client makes no more calls. After the last client there are no more events. */
  removeClient(client: AuditedClient): void {
    this.#clients.delete(client);
    if (this.#clients.size === 0) {
      this.#subject.complete();
    }
  }

  #warnOfCode(): void {
    if (!this.#codeSaid) {
      this.#codeSaid = true;
      this.#logger.warn(
        'The auditContext function returned a purposeOfUse that is not a FHIR code, so events leave it out. Return codes of v3-ActReason, such as TREAT, without blanks around them.',
      );
    }
  }

  async #asSink(fn: () => Promise<void>): Promise<void> {
    const mark: SinkMark = { isOpen: true };
    try {
      await this.#outside.runInAsyncScope(() => this.#inSink.run(mark, fn));
    } finally {
      mark.isOpen = false;
    }
  }

  async #finish(): Promise<void> {
    await Promise.all([...this.#clients].map((client) => client.settle()));
    const timeout = this.#flushTimeout;
    await this.#flush(timeout);
    // Sinks of `onFull` come last, because they get what the others could not write.
    const queues = () => [...this.#queues.values()].toSorted((a, b) => Number(a.takesRest) - Number(b.takesRest));
    for (const queue of queues()) {
      if (queue.takesRest) {
        await queue.flush(timeout);
      }
      queue.abandon();
    }
    for (const queue of queues()) {
      await queue
        .close()
        .catch((error: unknown) =>
          this.#logger.warn(`The audit sink ${queue.stats.sink} failed to close: ${shownError(error).name}.`),
        );
    }
  }

  async #flush(timeout: number): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.flush(timeout)));
  }

  get #flushTimeout(): number {
    return Math.max(0, ...[...this.#clients].map((client) => client.flushTimeout));
  }
}
