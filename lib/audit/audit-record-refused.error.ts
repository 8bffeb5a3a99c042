import { shownError } from '../errors/shown';
import type { RequestEvent } from './request-event';

/**
 * A sink rejects with this error from `write` when it will never accept some events of the batch, for example because
 * the server says that they are invalid. These events are set aside: they count as `refused`, and go to the sink of
 * `onFull` if there is one. The sink gets the rest of the batch again at once, and then the events that follow. In the
 * mode `require`, the calls of the refused events fail with `AuditSinkError`.
 *
 * After any other error, the sink gets the whole batch again.
 */
export class AuditRecordRefusedError extends Error {
  readonly #events: readonly RequestEvent[];

  /**
   * @param events the events of the batch that the sink refuses. Without one of the batch, the error counts as any other.
   * @param cause why. Only its `name` and `code` are kept.
   */
  constructor(events: readonly RequestEvent[], cause?: unknown) {
    super(
      'The sink will never accept some audit events of this batch. They are set aside.',
      cause === undefined ? undefined : { cause: Object.freeze(shownError(cause)) },
    );
    Object.defineProperty(this, 'name', { value: 'AuditRecordRefusedError', configurable: true, writable: true });
    this.#events = Object.freeze([...events]);
  }

  /** The events that the sink refuses. */
  get events(): readonly RequestEvent[] {
    return this.#events;
  }
}
