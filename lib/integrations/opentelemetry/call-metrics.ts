import { type Attributes, type Context, type Counter, type Histogram, type Meter, ValueType } from '@opentelemetry/api';
import type { TracedCall, TracedEnd, TracedQuota } from '../../http/call-tracing';
import { ATTRIBUTE, metricAttributes, present } from './attributes';

/** Bucket boundaries in seconds, as the semantic conventions recommend them for HTTP requests. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** Measures how long calls take and counts their retries. */
export class CallMetrics {
  readonly #durations: Histogram;
  readonly #retries: Counter;

  /** @param quotas by the name of the client. */
  constructor(meter: Meter, quotas: ReadonlyMap<string, () => TracedQuota>) {
    this.#durations = meter.createHistogram('medplum.client.operation.duration', {
      description: 'Duration of calls to Medplum, including retries.',
      unit: 's',
      valueType: ValueType.DOUBLE,
      advice: { explicitBucketBoundaries: BUCKETS },
    });
    this.#retries = meter.createCounter('medplum.client.operation.retries', {
      description: 'Number of retries of calls to Medplum.',
      unit: '{retry}',
      valueType: ValueType.INT,
    });
    const gauge = (name: string, description: string, unit: string) =>
      meter.createObservableGauge(`medplum.client.${name}`, { description, unit, valueType: ValueType.INT });
    const remaining = gauge('quota.remaining', 'What the server says is left of the quota of the client.', '{point}');
    const running = gauge('requests.running', 'Number of requests to Medplum that run.', '{request}');
    const queued = gauge('requests.queued', 'Number of requests to Medplum that wait for their turn.', '{request}');
    meter.addBatchObservableCallback(
      (result) => {
        for (const [name, now] of quotas) {
          const quota = now();
          const client = { [ATTRIBUTE.client]: name };
          for (const [limit, left] of Object.entries(quota.remaining ?? {})) {
            result.observe(remaining, left, { ...client, [ATTRIBUTE.quota]: limit });
          }
          result.observe(running, quota.running, client);
          result.observe(queued, quota.queued, client);
        }
      },
      [remaining, running, queued],
    );
  }

  /** @param seconds from the start of the call to its result. */
  ended(call: TracedCall, { status, error }: TracedEnd, seconds: number, context: Context): void {
    const how = present({ [ATTRIBUTE.status]: status, [ATTRIBUTE.error]: error });
    this.#durations.record(seconds, { ...metricAttributes(call), ...how }, context);
  }

  retrying(call: TracedCall, reason: string, context: Context): void {
    const attributes: Attributes = { ...metricAttributes(call), [ATTRIBUTE.retryReason]: reason };
    this.#retries.add(1, attributes, context);
  }
}
