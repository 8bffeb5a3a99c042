import { randomUUID } from 'node:crypto';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { MemorySink } from '../support/memory-sink';
import { until } from '../support/until';
import { type Fault, FAULTS } from '../support/wire-faults';

const CALLS = 10_000;
const AT_ONCE = 40;
const onBehalfOf = 'm-1';

let app: MedplumApp;
let sink: MemorySink;

beforeAll(async () => {
  sink = new MemorySink();
  app = await startMedplumApp({ audit: { sinks: [sink] }, retry: { maxRetries: 1, minTimeout: 1 } });
  app.wire.handler = (request, response) => {
    const fault = request.headers['x-fault'] as Fault | undefined;
    if (fault) {
      return FAULTS[fault](request, response);
    }
    const link = [{ relation: 'next', url: `${app.wire.baseUrl}fhir/R4/Patient?_offset=1` }];
    return request.path.includes('?')
      ? {
          body: { resourceType: 'Bundle', type: 'searchset', entry: [{ resource: { resourceType: 'Patient' } }], link },
        }
      : { body: { resourceType: 'Patient', id: '1' } };
  };
});
afterAll(() => app.close());

type Headers = Readonly<Record<string, string>>;

/** The ways in which a call can end. Each publishes one event. */
const WAYS: readonly ((headers: Headers) => Promise<unknown>)[] = [
  (headers) => app.medplum.readResource('Patient', '1', { onBehalfOf, headers }),
  (headers) => app.medplum.createResource({ resourceType: 'Patient' }, { onBehalfOf, headers }),
  (headers) => app.medplum.search('Patient', { active: true }, { onBehalfOf, headers }),
  ...(['409', '500', '503', 'reset before headers', 'truncated body', 'no JSON'] as const).map(
    (fault) => (headers: Headers) =>
      app.medplum.readResource('Patient', '1', { onBehalfOf, headers: { ...headers, 'x-fault': fault } }),
  ),
  // Refused: no identity, a malformed identity, wrong arguments.
  (headers) => app.medplum.readResource('Patient', '1', { headers }),
  (headers) => app.medplum.readResource('Patient', '1', { onBehalfOf: 'a,b', headers }),
  (headers) => app.medplum.readResource('Patient', '../1', { onBehalfOf, headers }),
  // Aborted before it is sent, and while it is sent.
  (headers) => app.medplum.readResource('Patient', '1', { onBehalfOf, headers, signal: AbortSignal.abort() }),
  (headers) => {
    const controller = new AbortController();
    const hang = { ...headers, 'x-fault': 'hang' };
    const call = app.medplum.createResource(
      { resourceType: 'Patient' },
      { onBehalfOf, headers: hang, signal: controller.signal },
    );
    setImmediate(() => controller.abort());
    return call;
  },
  // An iterator that is abandoned after its first page.
  async (headers) => {
    for await (const patient of app.medplum.iterateResources('Patient', { active: true }, { onBehalfOf, headers })) {
      return patient;
    }
    return undefined;
  },
];

describe('10,000 calls, many of which fail', () => {
  it('publish exactly one event each, to listeners and to sinks, without a gap in the numbers', async () => {
    const made: string[] = [];
    let next = 0;
    const work = async (): Promise<void> => {
      for (let i = next++; i < CALLS; i = next++) {
        const traceId = randomUUID();
        made.push(traceId);
        await WAYS[i % WAYS.length]?.({ 'x-trace-id': traceId }).catch(() => undefined);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    await until(() => sink.events.length >= CALLS);

    const numbers = Array.from({ length: CALLS }, (_, i) => i + 1);
    expect(app.events.map(({ seq }) => seq)).toEqual(numbers);
    expect(sink.events.map(({ id }) => id)).toEqual(app.events.map(({ id }) => id));
    // A call that is refused before its headers are read has no trace.
    const traced = app.events.map(({ traceId }) => traceId).filter((traceId) => traceId !== undefined);
    expect(new Set(traced).size).toBe(traced.length);
    const known = new Set(made);
    expect(traced.filter((traceId) => !known.has(traceId))).toEqual([]);
    const without = app.events.filter(({ traceId }) => traceId === undefined);
    expect(new Set(without.map(({ error }) => error?.code))).toEqual(
      new Set(['MEDPLUM_ON_BEHALF_OF_REQUIRED', 'MEDPLUM_ON_BEHALF_OF_REFERENCE']),
    );
    expect(new Set(app.events.map(({ outcome }) => outcome))).toEqual(new Set(['success', 'error', 'refused']));
  }, 120_000);
});
