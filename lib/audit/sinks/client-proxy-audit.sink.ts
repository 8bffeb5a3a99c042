import { lastValueFrom, type Observable } from 'rxjs';
import { inForm, type MedplumAuditForm } from './audit-form';
import type { MedplumAuditSink } from '../audit-sink';
import type { RequestEvent } from '../request-event';

/** What {@link ClientProxyAuditSink} needs of a `ClientProxy` of `@nestjs/microservices`. */
export interface MedplumAuditEmitter {
  /** Sends an event. */
  emit(pattern: unknown, data: unknown): Observable<unknown>;
}

/** Options of {@link ClientProxyAuditSink}. */
export interface ClientProxyAuditSinkOptions {
  /** Pattern of the messages: a topic, a subject or a queue. */
  readonly pattern: unknown;
  /** Required. `phi` shows people and records to everyone who can read the broker. */
  readonly form: MedplumAuditForm;
}

/** Sends each event as a message through a `ClientProxy` of Nest: Kafka, NATS, RabbitMQ, Redis or TCP. */
export class ClientProxyAuditSink implements MedplumAuditSink {
  readonly #client: MedplumAuditEmitter;
  readonly #options: ClientProxyAuditSinkOptions;

  constructor(client: MedplumAuditEmitter, options: ClientProxyAuditSinkOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Resolves when the transport has taken every message. */
  async write(batch: readonly RequestEvent[]): Promise<void> {
    const { pattern, form } = this.#options;
    // All before the first one is sent: when one is refused, the rest of the batch comes again.
    const messages = batch.map((event) => inForm(event, form));
    const sent = messages.map((message) =>
      lastValueFrom(this.#client.emit(pattern, message), { defaultValue: undefined }),
    );
    const failed = (await Promise.allSettled(sent)).find((result) => result.status === 'rejected');
    if (failed) {
      throw failed.reason;
    }
  }
}
