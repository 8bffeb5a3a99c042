import { Injectable, type OnModuleInit } from '@nestjs/common';
import { MedplumAudit, type RequestEvent } from 'nestjs-medplum';

/** What this app remembers of a call to Medplum: what it did and how it ended, but neither the record nor the identity. */
export interface RecentCall {
  /** Id of the event, the same in every log. */
  readonly id: string;
  readonly action: string;
  /** Path with `{id}` in place of ids. */
  readonly path: string;
  readonly outcome: string;
  readonly status: number | undefined;
  /** Where the identity came from. */
  readonly identity: string;
  /** How many requests the call sent, and how many of them carried the on-behalf-of header. */
  readonly attempts: number;
  readonly attemptsOnBehalf: number;
  readonly durationMs: number;
}

const MAX_CALLS = 200;

/**
 * Remembers the latest calls to Medplum, so that you can look at them. A real audit trail would write
 * `event.toPhiAudit()` to a store that is made for it.
 */
@Injectable()
export class RecentCalls implements OnModuleInit {
  readonly #calls: RecentCall[] = [];

  constructor(private readonly audit: MedplumAudit) {}

  /** The stream ends when the app shuts down, and so does the subscription. */
  onModuleInit(): void {
    this.audit.events$.subscribe((event) => this.#remember(event));
  }

  /** Oldest first. */
  get calls(): readonly RecentCall[] {
    return this.#calls;
  }

  #remember(event: RequestEvent): void {
    this.#calls.push({
      id: event.id,
      action: event.action,
      path: event.pathTemplate,
      outcome: event.outcome,
      status: event.status,
      identity: event.identitySource ?? 'nobody',
      attempts: event.attempts.length,
      attemptsOnBehalf: event.attempts.filter(({ onBehalfOf }) => onBehalfOf !== null).length,
      durationMs: event.durationMs,
    });
    if (this.#calls.length > MAX_CALLS) {
      this.#calls.shift();
    }
  }
}
