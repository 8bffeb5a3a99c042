import type { Bundle, BundleEntry } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { setTimeout as delay } from 'node:timers/promises';
import { isMedplumError } from '../../errors/medplum.error';
import { AuditRecordRefusedError } from '../audit-record-refused.error';
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
  readonly maxPerMinute?: number | undefined;
}

/** Entries in one batch. A server can process this many within its time limit. */
const BATCH = 20;
const MINUTE = 60_000;
/**
 * Statuses of one entry that may change without a change of the entry: rights, quota, locks and time. Any other 4xx
 * judges the AuditEvent itself.
 */
const PASSING = new Set(['401', '403', '408', '409', '421', '423', '424', '425', '429']);

/**
 * Stores each event in Medplum as a FHIR AuditEvent. It writes as the client itself, so the client needs the right to
 * create AuditEvents. Each one is a conditional create by the tag of the event, so a repeated write stores nothing twice.
 *
 * An AuditEvent that the server calls invalid (4xx, except 401, 403, 408, 409, 421, 423, 424, 425 and 429) is refused for
 * good: see {@link AuditRecordRefusedError}. The others of its batch are stored.
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

  /**
   * Waits for quota, then sends. Resolves when the server has stored every event.
   *
   * @throws AuditRecordRefusedError when the server will never accept some of them.
   */
  async write(batch: readonly RequestEvent[]): Promise<void> {
    const rest = batch.filter((event) => !this.#stored.has(tagOf(event)));
    const size = Math.min(BATCH, this.#maxPerMinute);
    const refusals = new Map<RequestEvent, unknown>();
    try {
      for (let from = 0; from < rest.length; from += size) {
        await this.#store(rest.slice(from, from + size), refusals);
      }
    } catch (error) {
      // The rest is written again in any case, and then fails again if the reason lasts.
      if (refusals.size === 0) {
        throw error;
      }
    }
    if (refusals.size > 0) {
      throw new AuditRecordRefusedError([...refusals.keys()], [...refusals.values()][0]);
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

  /** Collects what the server will never accept in `refusals`, with the reason. */
  async #store(events: readonly RequestEvent[], refusals: Map<RequestEvent, unknown>): Promise<void> {
    await this.#waitForQuota(events.length);
    let statuses: readonly string[];
    try {
      statuses = await this.#send(events);
    } catch (error) {
      if (!isAboutContent(error)) {
        throw error;
      }
      const [only, ...others] = events;
      if (only && others.length === 0) {
        refusals.set(only, error);
        return;
      }
      // One of them spoils the batch. Halving it finds that one.
      const half = Math.ceil(events.length / 2);
      await this.#store(events.slice(0, half), refusals);
      await this.#store(events.slice(half), refusals);
      return;
    }
    let passing: unknown;
    events.forEach((event, i) => {
      const status = /^\d{3}\b/.exec(statuses[i] ?? '')?.[0] ?? 'no status';
      // 412: several AuditEvents have the tag, so the event is stored (https://hl7.org/fhir/R4/http.html#ccreate).
      if (['200', '201', '412'].includes(status)) {
        this.#stored.add(tagOf(event));
        return;
      }
      const error = Object.assign(new Error(`Medplum did not store an AuditEvent: ${status}.`), {
        code: `HTTP_${status}`,
      });
      if (status.startsWith('4') && !PASSING.has(status)) {
        refusals.set(event, error);
      } else {
        passing ??= error;
      }
    });
    if (passing !== undefined) {
      throw passing;
    }
  }

  /** The status of each entry of the response, in the order of the events. */
  async #send(events: readonly RequestEvent[]): Promise<readonly string[]> {
    const bundle: Bundle = { resourceType: 'Bundle', type: 'batch', entry: events.map((event) => this.#entry(event)) };
    const response = await this.#medplum.asClientApplication(() => this.#medplum.executeBatch(bundle), {
      reason: 'audit trail',
    });
    const entries: unknown = response.entry;
    return (Array.isArray(entries) ? (entries as readonly (BundleEntry | null)[]) : []).map((entry) =>
      String(entry?.response?.status),
    );
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

/**
 * Whether the refusal of a whole batch is due to what it holds. A 404 or a 405 is about its address, which a server that
 * is being moved may mend.
 */
function isAboutContent(error: unknown): boolean {
  return isMedplumError(error) && error.code === 'MEDPLUM_BAD_REQUEST' && error.status !== 405;
}
