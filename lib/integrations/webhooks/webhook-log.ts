import { Logger } from '@nestjs/common';

/** How long the log is silent about one matter after it has warned, in ms: anybody can send requests to a webhook. */
const INTERVAL = 60_000;

/** Warns of deliveries, without ids and values. */
export class WebhookLog {
  readonly #logger = new Logger('MedplumWebhook');
  readonly #silentUntil = new Map<string, number>();

  /** @param what one of a few texts: the log keeps each of them in memory. */
  warn(place: string, what: string): void {
    const line = `${place}: ${what} This is logged at most once a minute.`;
    const now = performance.now();
    if (now >= (this.#silentUntil.get(line) ?? 0)) {
      this.#silentUntil.set(line, now + INTERVAL);
      this.#logger.warn(line);
    }
  }
}
