import { Logger } from '@nestjs/common';
import { jsonInForm, type MedplumAuditForm } from './audit-form';
import type { MedplumAuditSink } from '../audit-sink';
import type { RequestEvent } from '../request-event';

/** Options of {@link LoggerAuditSink}. */
export interface LoggerAuditSinkOptions {
  /** Default `non-phi`, because many people read logs. */
  readonly form?: MedplumAuditForm | undefined;
  /**
   * Where to log. A logger with a method `log`, such as Nest's, gets lines of JSON. One that has only `info`, such as pino's,
   * gets objects, so that its own fields and redaction apply. Default: Nest's logger with the context `MedplumRequest`.
   */
  readonly logger?: LineLogger | RecordLogger | undefined;
}

interface LineLogger {
  log(line: string): void;
}

interface RecordLogger {
  info(record: object): void;
}

/** Writes each event to the log, as one line of JSON or as one object. */
export class LoggerAuditSink implements MedplumAuditSink {
  readonly #form: MedplumAuditForm;
  readonly #logger: LineLogger | RecordLogger;

  constructor({ form = 'non-phi', logger = new Logger('MedplumRequest') }: LoggerAuditSinkOptions = {}) {
    this.#form = form;
    this.#logger = logger;
  }

  /** Resolves when the logger has the events. */
  async write(batch: readonly RequestEvent[]): Promise<void> {
    // All before the first line is logged: when one is refused, the rest of the batch comes again.
    const lines = batch.map((event) => jsonInForm(event, this.#form));
    lines.forEach((line) => this.#log(line));
  }

  #log(line: string): void {
    if ('log' in this.#logger) {
      this.#logger.log(line);
    } else {
      this.#logger.info(JSON.parse(line) as object);
    }
  }
}
