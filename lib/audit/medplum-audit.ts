import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { type BeforeApplicationShutdown, Injectable, Logger } from '@nestjs/common';
import { type Observable, Subject } from 'rxjs';
import { shownError } from '../errors/shown';
import { type MedplumAuditContext, type MedplumAuditContextResolver, readAuditContext } from './audit-context';
import type { MedplumAuditSink, MedplumAuditSinkOptions, MedplumAuditSinkStats } from './audit-sink';
import { GuardedObservable } from './guarded-observable';
import { RecordedRequestEvent, type RequestEventPlace, type RequestFacts } from './recorded-request-event';
import type { RequestEvent } from './request-event';
import { SinkQueue, type SinkQueueHost } from './sink-queue';

/** @internal One client whose calls are recorded. */
export interface AuditedClient {
  /** In ms. */
  readonly flushTimeout: number;
  /** Resolves when no call is under way: those that take too long are ended. */
  settle(): Promise<void>;
}

/**
 * The trail of all calls to Medplum in this app: one event per call of any client, be it answered, failed or refused.
 */
@Injectable()
export class MedplumAudit implements BeforeApplicationShutdown {
  readonly #logger = new Logger('MedplumAudit');
  readonly #subject = new Subject<RequestEvent>();
  // Made while the app starts, outside every scope: listeners run there, and not under the identity of some request.
  readonly #outside = new AsyncResource('MedplumAudit');
  readonly #inSink = new AsyncLocalStorage<true>();
  readonly #queues = new Map<MedplumAuditSink, SinkQueue>();
  readonly #shared = new Set<SinkQueue>();
  readonly #clients = new Set<AuditedClient>();
  readonly #host: SinkQueueHost = {
    asSink: (fn) => this.#outside.runInAsyncScope(() => this.#inSink.run(true, fn)),
    queueOf: (sink) => this.register(sink),
    warn: (text) => this.#logger.warn(text),
  };
  #end: Promise<void> | undefined;

  /**
   * One {@link RequestEvent} per call, when it ends. A listener that throws harms neither the call nor other listeners,
   * behind `pipe()` as well; its error is logged by its class name. Completes when the app shuts down.
   *
   * Listeners run outside every scope. Observables that are put together from this one by functions such as `merge()`
   * are plain ones again, so handle errors there.
   */
  readonly events$: Observable<RequestEvent> = new GuardedObservable(this.#subject, (error) =>
    this.#logger.warn(`A listener of MedplumAudit.events$ failed: ${shownError(error).name}.`),
  );

  /**
   * Adds a sink for the events of all clients from now on: what the option `audit.sinks` does for one client, for sinks
   * that need other providers. A sink gets each event once, however often it is added.
   */
  addSink(sink: MedplumAuditSink, options?: MedplumAuditSinkOptions): void {
    this.#shared.add(this.register(sink, options));
  }

  /** How the sinks are doing: what waits, what was kept, what was lost. */
  get sinkStats(): readonly MedplumAuditSinkStats[] {
    return [...this.#queues.values()].map((queue) => queue.stats);
  }

  /** @internal The queue of a sink. There is one, so that all clients that share the sink share its order. */
  register(sink: MedplumAuditSink, options: MedplumAuditSinkOptions = {}): SinkQueue {
    const known = this.#queues.get(sink);
    if (known) {
      return known;
    }
    const queue = new SinkQueue(sink, options, this.#host);
    this.#queues.set(sink, queue);
    if (typeof options.onFull === 'object' && options.onFull !== sink) {
      this.register(options.onFull).takesRest = true;
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

  /** @internal Whether somebody listens to {@link MedplumAudit.events$}. */
  get isObserved(): boolean {
    return this.#subject.observed;
  }

  /** @internal Whether the caller is a sink that writes. */
  get isInSink(): boolean {
    return this.#queues.size > 0 && this.#inSink.getStore() === true;
  }

  /** @internal What the app says of a call that is being made. A resolver that throws harms no call. */
  contextOf(resolver: MedplumAuditContextResolver | undefined): MedplumAuditContext | undefined {
    try {
      return resolver && readAuditContext(resolver());
    } catch (error) {
      this.#logger.warn(`The auditContext of the Medplum options failed: ${shownError(error).name}.`);
      return undefined;
    }
  }

  /** @internal The event of `facts`, after the listeners got it; `undefined` when neither they nor a sink want it. */
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

  /** @internal Waits for the calls of all clients and for the sinks, then closes these; once, whoever asks first. */
  end(): Promise<void> {
    return (this.#end ??= this.#finish());
  }

  /** Writes what waits for sinks while everything that they may need is still there. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.#flush(this.#flushTimeout);
  }

  /** @internal Called when a client makes no more calls: after the last one there are no more events. */
  removeClient(client: AuditedClient): void {
    this.#clients.delete(client);
    if (this.#clients.size === 0) {
      this.#subject.complete();
    }
  }

  async #finish(): Promise<void> {
    await Promise.all([...this.#clients].map((client) => client.settle()));
    const timeout = this.#flushTimeout;
    await this.#flush(timeout);
    // Sinks of `onFull` come last, and get what the others could not write.
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
        .catch((error: unknown) => this.#logger.warn(`Closing a sink failed: ${shownError(error).name}.`));
    }
  }

  async #flush(timeout: number): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.flush(timeout)));
  }

  get #flushTimeout(): number {
    return Math.max(0, ...[...this.#clients].map((client) => client.flushTimeout));
  }
}
