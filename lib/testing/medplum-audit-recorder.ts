import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { MedplumAudit, type RequestEvent } from '../index';

/** Keeps every audit event of the app, so that a test can look at them afterwards. */
@Injectable()
export class MedplumAuditRecorder implements OnModuleDestroy {
  private readonly recorded: RequestEvent[] = [];
  private readonly subscription: { unsubscribe(): void };

  constructor(audit: MedplumAudit) {
    this.subscription = audit.events$.subscribe((event) => this.recorded.push(event));
  }

  /** The events since the start or the last {@link clear}, oldest first. */
  get events(): readonly RequestEvent[] {
    return this.recorded;
  }

  /** Forgets the events. */
  clear(): void {
    this.recorded.length = 0;
  }

  /** Stops recording. */
  onModuleDestroy(): void {
    this.subscription.unsubscribe();
  }
}
