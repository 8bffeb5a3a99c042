import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { type Observable, Subject } from 'rxjs';
import { GuardedObservable } from './guarded-observable';
import { type MedplumAuditContext, type MedplumAuditContextResolver, readAuditContext } from './audit-context';
import { RecordedRequestEvent, type RequestFacts } from './recorded-request-event';
import type { RequestEvent } from './request-event';

/**
 * The trail of all calls to Medplum in this app: one event per call of any client, be it answered, failed or refused.
 */
@Injectable()
export class MedplumAudit implements OnApplicationShutdown {
  readonly #logger = new Logger('MedplumAudit');
  readonly #subject = new Subject<RequestEvent>();
  readonly #instanceId = randomUUID();
  #seq = 0;
  // Made while the app starts, outside every scope: listeners run there, and not under the identity of some request.
  readonly #outside = new AsyncResource('MedplumAudit');

  /**
   * One {@link RequestEvent} per call, when it ends. A listener that throws harms neither the call nor other listeners,
   * behind `pipe()` as well; its error is logged by its class name. Completes when the app shuts down.
   *
   * Listeners run outside every scope. Observables that are put together from this one by functions such as `merge()`
   * are plain ones again, so handle errors there.
   */
  readonly events$: Observable<RequestEvent> = new GuardedObservable(this.#subject, (error) =>
    this.#logger.warn(`A listener of MedplumAudit.events$ failed: ${errorName(error)}.`),
  );

  /** @internal Whether anybody listens: without a listener, a call need not know anything about itself. */
  get isActive(): boolean {
    return this.#subject.observed;
  }

  /** @internal What the app says of a call that is being made. A resolver that throws harms no call. */
  contextOf(resolver: MedplumAuditContextResolver | undefined): MedplumAuditContext | undefined {
    if (!resolver || !this.isActive) {
      return undefined;
    }
    try {
      return readAuditContext(resolver());
    } catch (error) {
      this.#logger.warn(`The auditContext of the Medplum options failed: ${errorName(error)}.`);
      return undefined;
    }
  }

  /** @internal Called once per call, when it has ended. */
  publish(facts: RequestFacts): void {
    this.#seq++;
    if (this.isActive) {
      const event = new RecordedRequestEvent(facts, { instanceId: this.#instanceId, seq: this.#seq });
      this.#outside.runInAsyncScope(() => this.#subject.next(event));
    }
  }

  /** Completes {@link MedplumAudit.events$}. */
  onApplicationShutdown(): void {
    this.#subject.complete();
  }
}

function errorName(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
