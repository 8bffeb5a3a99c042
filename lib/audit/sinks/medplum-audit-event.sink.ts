import type { Bundle, BundleEntry } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { setTimeout as delay } from 'node:timers/promises';
import { objects } from '../../shared/objects';
import type { MedplumAuditSink } from '../audit-sink';
import {
  AUDIT_EVENT_TAG_SYSTEM,
  type FhirAuditEventOptions,
  tagOf,
  toFhirAuditEvent,
} from '../fhir-audit-event/fhir-audit-event';
import type { RequestEvent } from '../request-event';

/** What {@link MedplumAuditEventSink} needs of a `MedplumService`. */
export interface MedplumAuditTarget {
  /** Calls `fn` with the rights of the client itself. */
  asClientApplication<T>(fn: () => T, options?: { readonly reason?: string }): T;
  /** Sends a batch. */
  executeBatch(bundle: Bundle): Promise<Bundle>;
}

/** Options of {@link MedplumAuditEventSink}. */
export interface MedplumAuditEventSinkOptions extends FhirAuditEventOptions {
  /**
   * The largest number of AuditEvents to write in one minute. Further ones wait. Default 120. Each costs about 120 points
   * of the quota that all users of the client share (by default 50,000 a minute on a Medplum server).
   */
  readonly maxPerMinute?: number;
}

/** Entries in one batch. A server can process this many within its time limit. */
const BATCH = 20;
const MINUTE = 60_000;

/**
 * Stores each event in Medplum as a FHIR AuditEvent. It writes as the client itself, so the client needs the right to
 * create AuditEvents. Each one is a conditional create by the tag of the event, so a repeated write stores nothing twice.
 *
 * @example
 * ```ts
 * constructor(audit: MedplumAudit, medplum: MedplumService) {
 *   audit.addSink(new MedplumAuditEventSink(medplum));
 * }
 * ```
 */
export class MedplumAuditEventSink implements MedplumAuditSink {
  readonly #medplum: MedplumAuditTarget;
  readonly #options: MedplumAuditEventSinkOptions;
  readonly #closed = new AbortController();
  /** Tags of the events of the current batch that are already stored. A retry leaves them out. */
  readonly #stored = new Set<string>();
  /** When each entry of the last minute was sent, by the monotonic clock, in ms. */
  #recent: number[] = [];

  constructor(medplum: MedplumAuditTarget, options: MedplumAuditEventSinkOptions = {}) {
    this.#medplum = medplum;
    this.#options = options;
  }

  /** Waits for quota, then sends. Resolves when the server has stored every event. */
  async write(batch: readonly RequestEvent[]): Promise<void> {
    const rest = batch.filter((event) => !this.#stored.has(tagOf(event)));
    const size = Math.min(BATCH, this.#maxPerMinute);
    for (let from = 0; from < rest.length; from += size) {
      const part = rest.slice(from, from + size);
      await this.#waitForQuota(part.length);
      await this.#store(part);
    }
    this.#stored.clear();
  }

  /** Stops waiting for quota. */
  close(): void {
    this.#closed.abort();
  }

  get #maxPerMinute(): number {
    return Math.max(1, this.#options.maxPerMinute ?? 120);
  }

  async #store(events: readonly RequestEvent[]): Promise<void> {
    const bundle: Bundle = { resourceType: 'Bundle', type: 'batch', entry: events.map((event) => this.#entry(event)) };
    const answer = await this.#medplum.asClientApplication(() => this.#medplum.executeBatch(bundle), {
      reason: 'audit trail',
    });
    const statuses = objects(answer.entry).map(({ response }) => String(response?.status));
    events.forEach((event, i) => {
      if (/^20[01]\b/.test(statuses[i] ?? '')) {
        this.#stored.add(tagOf(event));
      }
    });
    const refused = events.findIndex((event) => !this.#stored.has(tagOf(event)));
    if (refused >= 0) {
      const status = /^\d{3}/.exec(statuses[refused] ?? '')?.[0] ?? 'no status';
      throw Object.assign(new Error(`Medplum did not store an AuditEvent: ${status}.`), { code: `HTTP_${status}` });
    }
  }

  #entry(event: RequestEvent): BundleEntry {
    return {
      request: { method: 'POST', url: 'AuditEvent', ifNoneExist: `_tag=${AUDIT_EVENT_TAG_SYSTEM}|${tagOf(event)}` },
      resource: toFhirAuditEvent(event, this.#options),
    };
  }

  async #waitForQuota(count: number): Promise<void> {
    for (;;) {
      const now = performance.now();
      this.#recent = this.#recent.filter((at) => now - at < MINUTE);
      const free = this.#maxPerMinute - this.#recent.length;
      if (free >= count || this.#closed.signal.aborted) {
        this.#recent.push(...Array.from({ length: count }, () => now));
        return;
      }
      const freed = this.#recent[count - free - 1] ?? now;
      const wait = Math.max(1, freed + MINUTE - now);
      await delay(wait, undefined, { ref: false, signal: this.#closed.signal }).catch(() => undefined);
    }
  }
}
