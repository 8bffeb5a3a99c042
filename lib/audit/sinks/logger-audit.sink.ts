import { Logger } from '@nestjs/common';
import { jsonInForm, type MedplumAuditForm } from './audit-form';
import type { MedplumAuditSink } from '../audit-sink';
import type { RequestEvent } from '../request-event';

/** Options of {@link LoggerAuditSink}. */
export interface LoggerAuditSinkOptions {
  /** Default `non-phi`, because many people read logs. */
  readonly form?: MedplumAuditForm;
  /** Default: Nest's logger with the context `MedplumRequest`. */
  readonly logger?: { log(line: string): void };
}

/** Writes each event as one line of JSON to the log. */
export class LoggerAuditSink implements MedplumAuditSink {
  readonly #form: MedplumAuditForm;
  readonly #logger: { log(line: string): void };

  constructor({ form = 'non-phi', logger = new Logger('MedplumRequest') }: LoggerAuditSinkOptions = {}) {
    this.#form = form;
    this.#logger = logger;
  }

  /** Resolves when the logger has the lines. */
  async write(batch: readonly RequestEvent[]): Promise<void> {
    // All before the first line is logged: when one is refused, the rest of the batch comes again.
    const lines = batch.map((event) => jsonInForm(event, this.#form));
    lines.forEach((line) => this.#logger.log(line));
  }
}
