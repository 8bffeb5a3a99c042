import type { MedplumAuditSink, RequestEvent } from 'nestjs-medplum';

/** A sink that keeps what it gets, and fails or hangs as a test says. */
export class MemorySink implements MedplumAuditSink {
  readonly batches: (readonly RequestEvent[])[] = [];
  closed = 0;
  /** Refuses batches. */
  isDown = false;
  /** What each batch waits for. */
  gate: Promise<unknown> | undefined;
  /** Called with each batch that is offered, before anything else. */
  onWrite: (batch: readonly RequestEvent[]) => unknown = () => undefined;

  constructor(readonly name = 'MemorySink') {}

  get events(): RequestEvent[] {
    return this.batches.flat();
  }

  async write(batch: readonly RequestEvent[]): Promise<void> {
    await this.onWrite(batch);
    await this.gate;
    if (this.isDown) {
      throw new TypeError('taint: Homer Simpson');
    }
    this.batches.push(batch);
  }

  close(): void {
    this.closed++;
  }
}

/** Waits until `condition` holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
