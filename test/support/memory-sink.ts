import type { MedplumAuditSink, RequestEvent } from 'nestjs-medplum';

/** A sink that keeps its batches in memory. A test can make it fail or wait. */
export class MemorySink implements MedplumAuditSink {
  readonly batches: (readonly RequestEvent[])[] = [];
  closed = 0;
  /** If true, the sink refuses batches. */
  isDown = false;
  /** Each batch waits for this. */
  gate: Promise<unknown> | undefined;
  /** Called first with each batch, before the sink accepts or refuses it. */
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
