import { AsyncResource } from 'node:async_hooks';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { type Observable, Subject } from 'rxjs';
import { GuardedObservable } from './guarded-observable';
import { RecordedRequestEvent, type RequestEvent, type RequestFacts } from './request-event';

/**
 * The trail of all calls to Medplum in this app: one event per call of any client, be it answered, failed or refused.
 */
@Injectable()
export class MedplumAudit implements OnApplicationShutdown {
  readonly #logger = new Logger('MedplumAudit');
  readonly #subject = new Subject<RequestEvent>();
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

  /** @internal Called once per call, when it has ended. */
  publish(facts: RequestFacts): void {
    if (this.#subject.observed) {
      this.#outside.runInAsyncScope(() => this.#subject.next(new RecordedRequestEvent(facts)));
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
