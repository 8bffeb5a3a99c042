import { randomUUID } from 'node:crypto';
import { AuditSinkError, type AuditSinkErrorDetails } from '../errors/audit-sink.error';
import { AuditRecordRefusedError } from './audit-record-refused.error';
import type { MedplumAuditContext, MedplumAuditContextResolver } from './audit-context';
import type { MedplumAuditOptions } from './audit-sink';
import type { MedplumAudit } from './medplum-audit';
import type { RequestFacts } from './recorded-request-event';
import type { SinkQueue } from './sink-queue';

const WRITE_TIMEOUT = 5_000;
const FLUSH_TIMEOUT = 5_000;

/** What the audit fixes about a call when the method is called. */
export interface AuditedCall {
  readonly context: MedplumAuditContext | undefined;
  /** Whether a sink makes the call. Sinks do not get events of their own calls. */
  readonly fromSink: boolean;
}

/** Events with one numbering. */
interface Series {
  readonly instanceId: string;
  seq: number;
}

const UNKNOWN: AuditedCall = Object.freeze({ context: undefined, fromSink: false });

/** Records the calls of one client: publishes their events, and waits for sinks where it must. */
export class AuditTrail {
  readonly #audit: MedplumAudit;
  readonly #options: MedplumAuditOptions;
  readonly #resolver: MedplumAuditContextResolver | undefined;
  readonly #own: readonly SinkQueue[];
  readonly #series: Series = { instanceId: randomUUID(), seq: 0 };
  // A numbering of its own, because sinks do not get these events and would see gaps.
  readonly #seriesOfSinks: Series = { instanceId: randomUUID(), seq: 0 };
  #underWay = 0;
  readonly #waiting = new Set<() => void>();

  constructor(audit: MedplumAudit, options: MedplumAuditOptions = {}, resolver?: MedplumAuditContextResolver) {
    this.#audit = audit;
    this.#options = options;
    this.#resolver = resolver;
    this.#own = (options.sinks ?? []).map((sink) => audit.register(sink, options));
  }

  /** Whether there is a listener or a sink. Without one, calls collect no facts. */
  get isActive(): boolean {
    return this.#audit.isObserved || this.#own.length > 0 || this.#audit.sharedQueues.size > 0 || this.#isRequired;
  }

  get #isRequired(): boolean {
    return this.#options.mode === 'require';
  }

  /** How long to wait for sinks at shutdown, in ms. */
  get flushTimeout(): number {
    return this.#options.flushTimeout ?? FLUSH_TIMEOUT;
  }

  /**
   * Call it synchronously when a method is called.
   *
   * @param inUserScope whether a scope of a user, or of an inbound request, surrounds the call. Sinks run outside of all
   * scopes, so the call is then one of a handler that a sink's connection has started.
   * @param around what the scope around the call says. It wins over the option `auditContext`.
   */
  capture(inUserScope: boolean, around: Pick<MedplumAuditContext, 'purposeOfUse' | 'actor'> = {}): AuditedCall {
    if (!this.isActive) {
      return UNKNOWN;
    }
    let context = this.#audit.contextOf(this.#resolver);
    const { purposeOfUse, actor } = around;
    if (purposeOfUse ?? actor) {
      context = Object.freeze({ ...context, ...(purposeOfUse && { purposeOfUse }), ...(actor && { actor }) });
    }
    return { context, fromSink: !inUserScope && this.#audit.isInSink };
  }

  /** Calls `fn` outside every scope. */
  outside<T>(fn: () => T): T {
    return this.#audit.outside(fn);
  }

  /** Whether the sinks must accept the events of this call. */
  requires(call: AuditedCall): boolean {
    return this.#isRequired && !call.fromSink;
  }

  /** Counts a call as running until {@link AuditTrail.ended}. */
  began({ fromSink }: AuditedCall): void {
    this.#underWay += fromSink ? 0 : 1;
  }

  /** The counterpart of {@link AuditTrail.began}. */
  ended({ fromSink }: AuditedCall): void {
    this.#underWay -= fromSink ? 0 : 1;
    if (this.#underWay === 0) {
      this.#waiting.forEach((resolve) => resolve());
    }
  }

  /** Resolves when no call is running, after `timeout` ms at the latest. */
  async idle(timeout: number): Promise<void> {
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          this.#waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, timeout);
        this.#waiting.add(done);
      });
    }
  }

  /** Publishes the event of a call that has ended. */
  publish(facts: RequestFacts, answer: unknown, call: AuditedCall): void {
    if (!this.isActive) {
      return;
    }
    const queues = this.#queues(call);
    const event = this.#audit.publish(facts, answer, this.#place(call), queues.length > 0);
    if (event) {
      queues.forEach((queue) => queue.add(event));
    }
  }

  /**
   * Publishes the event of a call that is about to be sent or that has ended, and waits until every sink accepts it.
   *
   * @param details what the error says about the call.
   * @throws AuditSinkError when there is no sink, or when a sink does not accept it in time.
   */
  async record(facts: RequestFacts, answer: unknown, call: AuditedCall, details: AuditSinkErrorDetails): Promise<void> {
    const queues = this.#queues(call);
    const event = this.#audit.publish(facts, answer, this.#place(call), true);
    const timeout = this.#options.writeTimeout ?? WRITE_TIMEOUT;
    if (queues.length === 0) {
      throw refusal(
        "audit.mode is 'require', but the client has no sink. Add one to audit.sinks, or with MedplumAudit.addSink().",
        facts,
        details,
      );
    }
    const results = await Promise.allSettled(
      queues.map((queue) => (event ? queue.accept(event, timeout) : Promise.resolve())),
    );
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) {
      const reason: unknown = failed.reason;
      const forGood = reason instanceof AuditRecordRefusedError;
      throw refusal(
        forGood
          ? 'A sink refused the record for good. The cause of this error says why. Mend the sink, or what the record holds.'
          : 'A sink did not accept the record. The cause of this error says why.',
        facts,
        { ...details, ...(forGood ? { retryable: false } : {}), cause: forGood ? (reason.cause ?? reason) : reason },
      );
    }
  }

  #queues(call: AuditedCall): readonly SinkQueue[] {
    return call.fromSink ? [] : [...new Set([...this.#own, ...this.#audit.sharedQueues])];
  }

  #place({ fromSink }: AuditedCall): Readonly<Series> {
    const series = fromSink ? this.#seriesOfSinks : this.#series;
    series.seq++;
    return series;
  }
}

/** The error of a call whose record was not accepted. */
function refusal(why: string, facts: RequestFacts, details: AuditSinkErrorDetails): AuditSinkError {
  const { client, method, path, pathTemplate, onBehalfOf, identitySource } = facts;
  const what = facts.pending
    ? 'the intent was not recorded, so nothing was sent'
    : 'the outcome of the call was not recorded';
  const text =
    facts.action === 'break-glass'
      ? `The emergency access did not begin, because it was not recorded`
      : `${method} ${pathTemplate}: ${what}`;
  const error = new AuditSinkError(`${text}. ${why}`, details);
  error.attachRequest({ client, method, path, pathTemplate, onBehalfOf, identitySource });
  return error;
}
