import { CallTracing, type CallSpan, type CallTracer, type TracedCall } from '../../lib/http/call-tracing';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { MemorySink } from '../support/memory-sink';

/** Notes what a tracer is told, one line for each event. */
class NotedTracer implements CallTracer {
  readonly lines: string[] = [];
  readonly calls: TracedCall[] = [];
  headers: Readonly<Record<string, string>> = {};
  quiet = 0;

  pin(): (call: TracedCall) => CallSpan {
    return (call) => {
      this.calls.push(call);
      return {
        headers: this.headers,
        attempted: ({ attempt, status, error }) => this.lines.push(`attempt ${attempt}: ${status ?? error}`),
        retrying: (reason) => this.lines.push(`retry: ${reason}`),
        ended: ({ status, error, effect }) => this.lines.push(`end: ${status} ${error} ${effect}`),
      };
    };
  }

  quietly<T>(fn: () => T): T {
    this.quiet++;
    return fn();
  }
}

const AS_BART = { onBehalfOf: 'ProjectMembership/bart' };

describe('A tracer', () => {
  let app: MedplumApp;
  let tracer: NotedTracer;

  beforeEach(async () => {
    app = await startMedplumApp({ retry: { minTimeout: 1, maxRetries: 2, budget: 100 } });
    app.module.get(CallTracing).tracer = tracer = new NotedTracer();
  });

  afterEach(() => app.close());

  it('learns the kind of a call, but not its identity or its resource', async () => {
    await app.medplum.readVersion('Patient', 'homer', '7', AS_BART);
    expect(tracer.calls).toEqual([
      {
        client: 'default',
        origin: new URL(app.wire.baseUrl).origin,
        method: 'GET',
        pathTemplate: '/fhir/R4/Patient/{id}/_history/{version}',
        action: 'vread',
        resourceType: 'Patient',
        operation: undefined,
        identitySource: 'call',
      },
    ]);
    expect(tracer.lines).toEqual(['attempt 1: 200', 'end: 200 undefined none']);
    expect(tracer.quiet).toBe(1);
  });

  it('learns of every attempt, and why another one follows', async () => {
    const conflict = { issue: [{ severity: 'error', code: 'conflict', details: { coding: [{ code: '40001' }] } }] };
    const answers = [
      { status: 429 },
      { status: 409, body: { resourceType: 'OperationOutcome', ...conflict } },
      { destroy: true },
    ];
    app.wire.handler = () => answers.shift() ?? { body: {} };
    await expect(app.medplum.readResource('Patient', '1', AS_BART)).rejects.toThrow('ECONNRESET');
    expect(tracer.lines).toEqual([
      'attempt 1: 429',
      'retry: 429',
      'attempt 2: 409',
      'retry: 40001',
      'attempt 3: ECONNRESET',
      'end: undefined MEDPLUM_CONNECTION none',
    ]);
  });

  it('learns that a call is made again with other credentials', async () => {
    const secrets = ['old', 'new'];
    const other = await startMedplumApp({ clientSecret: () => secrets.shift() ?? 'none' });
    try {
      other.module.get(CallTracing).tracer = tracer;
      const answers = [{ status: 401 }];
      other.wire.handler = () => answers.shift() ?? { body: { resourceType: 'Patient', id: '1' } };
      await other.medplum.readResource('Patient', '1', AS_BART);
      expect(tracer.lines).toEqual([
        'attempt 1: 401',
        'retry: credentials',
        'attempt 2: 200',
        'end: 200 undefined none',
      ]);
    } finally {
      await other.close();
    }
  });

  it('learns of the end of a call that was refused before anything was sent', async () => {
    await expect(app.medplum.readResource('Patient', '1')).rejects.toThrow('Nothing was sent');
    await expect(app.medplum.readResource('Patient', '../x', AS_BART)).rejects.toThrow('FHIR id');
    expect(tracer.lines).toEqual([
      'end: undefined MEDPLUM_ON_BEHALF_OF_REQUIRED none',
      'end: undefined MEDPLUM_BAD_REQUEST none',
    ]);
    expect(tracer.calls[1]).toMatchObject({ pathTemplate: '/fhir/R4/{type}/{id}', resourceType: undefined });
  });

  it('learns of the end of a download once its stream has been read', async () => {
    app.wire.handler = () => ({ body: { some: 'content' } });
    const { stream } = await app.medplum.binaries.download('1', AS_BART);
    expect(tracer.lines).toEqual(['attempt 1: 200']);
    for await (const _ of stream) {
      // Read the stream to its end; its content does not matter.
    }
    expect(tracer.lines.at(-1)).toBe('end: 200 undefined none');
  });

  it('learns of the error that the caller gets when the record of a call fails', async () => {
    const sink = Object.assign(new MemorySink(), { isDown: true });
    const strict = await startMedplumApp({ audit: { mode: 'require', sinks: [sink], writeTimeout: 50 } });
    try {
      strict.module.get(CallTracing).tracer = tracer;
      await expect(strict.medplum.readResource('Patient', '1', AS_BART)).rejects.toThrow(
        'A sink did not accept the record. The cause of this error says why.',
      );
      await expect(strict.medplum.deleteResource('Patient', '1', AS_BART)).rejects.toThrow('nothing was sent');
    } finally {
      sink.isDown = false;
      await strict.close();
    }
    expect(tracer.lines).toEqual([
      'attempt 1: 200',
      'end: undefined MEDPLUM_AUDIT_SINK none',
      'end: undefined MEDPLUM_AUDIT_SINK none',
    ]);
  });

  it('decides which trace headers are sent, unless the call has its own', async () => {
    const ours = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const theirs = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`;
    tracer.headers = { traceparent: ours, tracestate: 'vendor=1' };
    await app.medplum.readResource('Patient', '1', AS_BART);
    await app.medplum.readResource('Patient', '1', { ...AS_BART, headers: { traceparent: theirs } });
    await app.medplum.readResource('Patient', '1', { ...AS_BART, headers: { 'X-Trace-Id': 'c'.repeat(32) } });
    const sent = app.wire.requests.map(({ headers: { traceparent, tracestate } }) => ({ traceparent, tracestate }));
    expect(sent).toEqual([{ traceparent: ours, tracestate: 'vendor=1' }, { traceparent: theirs }, {}]);
    expect(app.events.map(({ traceId }) => traceId)).toEqual(['a', 'c', 'c'].map((digit) => digit.repeat(32)));
  });
});
