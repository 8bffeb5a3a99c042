import { inspect } from 'node:util';
import type { RequestAttempt, RequestEvent } from 'nestjs-medplum';
import {
  RecordedRequestEvent,
  type RequestFacts,
  type RequestEventPlace,
} from '../../lib/audit/recorded-request-event';
import { WireAttempt } from '../../lib/shared/request-attempt';
import { MedplumNotFoundError } from '../../lib/errors/response.errors';

/** This word is in everything that names a person, a record or a value. */
const TAINT = 'taint';

const ERROR = new MedplumNotFoundError('GET /fhir/R4/Patient/{id} was answered with 404.', {
  status: 404,
  outcome: { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'not-found', diagnostics: TAINT }] },
  cause: new Error(TAINT),
});
ERROR.attachRequest({
  client: 'default',
  method: 'GET',
  path: `/fhir/R4/Patient/${TAINT}`,
  pathTemplate: '/fhir/R4/Patient/{id}',
  onBehalfOf: `ProjectMembership/${TAINT}`,
  identitySource: 'call',
});

const FACTS: RequestFacts = {
  operationId: '00000000-0000-4000-8000-000000000002',
  client: 'default',
  clientId: `${TAINT}-client`,
  baseUrl: `https://example.org/projects/${TAINT}/`,
  action: 'read',
  method: 'GET',
  pathTemplate: '/fhir/R4/Patient/{id}',
  path: `/fhir/R4/Patient/${TAINT}-id`,
  query: `name=${TAINT}-1&name=${TAINT}-2&_count=5`,
  resourceType: 'Patient',
  resourceId: `${TAINT}-id`,
  operation: '$everything',
  onBehalfOf: `ProjectMembership/${TAINT}`,
  identitySource: 'call',
  reason: `because of ${TAINT}`,
  startedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
  durationMs: 1500,
  attempts: [new WireAttempt(1, 1200, `ProjectMembership/${TAINT}`, { status: 404 })],
  status: 404,
  requestId: '00000000-0000-4000-8000-000000000001',
  effect: 'none',
  error: ERROR,
  traceId: '0af7651916cd43dd8448eb211c80319c',
  context: { purposeOfUse: [TAINT], subject: TAINT, actor: TAINT, address: TAINT },
};

const ANSWER = {
  resourceType: 'Bundle',
  total: 12,
  entry: [
    { resource: { resourceType: 'Patient', id: `${TAINT}-id`, name: [{ family: TAINT }] } },
    { resource: { resourceType: TAINT, id: TAINT } },
  ],
};

const PLACE: RequestEventPlace = { instanceId: '00000000-0000-4000-8000-000000000003', seq: 7 };

const recorded = (more: Partial<RequestFacts> = {}): RequestEvent =>
  new RecordedRequestEvent({ ...FACTS, ...more }, PLACE, ANSWER);

/** `value` with the word in each of its strings. */
function tainted(value: unknown): unknown {
  if (typeof value === 'string') {
    return TAINT;
  }
  if (Array.isArray(value)) {
    return value.map(tainted);
  }
  return Object.getPrototypeOf(value) === Object.prototype
    ? Object.fromEntries(Object.entries(value as object).map(([key, part]) => [key, tainted(part)]))
    : value;
}

describe('An event shows no PHI', () => {
  // If you add a fact, decide here whether logs may show it.
  it('of any fact except these, whose texts come from the app and this library', () => {
    const shown = Object.entries(FACTS).filter(([fact, value]) =>
      JSON.stringify(recorded({ [fact]: tainted(value) })).includes(TAINT),
    );
    expect(shown.map(([fact]) => fact)).toEqual([
      'operationId',
      'client',
      'action',
      'method',
      'pathTemplate',
      'resourceType',
      'operation',
      'identitySource',
      'requestId',
      'effect',
      'traceId',
    ]);
  });

  it.each<readonly [string, (event: RequestEvent) => unknown]>([
    ['in JSON', (event) => JSON.stringify(event)],
    ['in toJSON()', (event) => event.toJSON()],
    ['to inspect', (event) => inspect(event, { depth: null })],
    ['to inspect in a list', (event) => inspect([{ event }], { depth: null })],
    ['to inspect without its own form', (event) => inspect(event, { depth: null, customInspect: false })],
    [
      'to inspect with hidden fields',
      (event) => inspect(event, { depth: null, customInspect: false, showHidden: true }),
    ],
    ['to inspect that calls getters', (event) => inspect(event, { depth: null, customInspect: false, getters: true })],
    ['in a structured clone', (event) => structuredClone(event)],
    ['in a spread', (event) => ({ ...event })],
    ['in Object.assign', (event) => Object.assign({}, event)],
    ['in its entries, attempt by attempt', (event) => event.attempts.map((attempt) => Object.entries(attempt))],
    [
      'to code that walks its fields, including hidden ones',
      (event) => Reflect.ownKeys(event).map((key) => Reflect.get(event, key)),
    ],
  ])('%s', (_how, show) => {
    const shown = show(recorded());
    expect(JSON.stringify(shown)).not.toContain(TAINT);
    expect(inspect(shown, { depth: null, customInspect: false })).not.toContain(TAINT);
  });

  it('and still holds what metrics and logs need', () => {
    expect(JSON.parse(JSON.stringify(recorded()))).toEqual({
      id: expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/) as unknown,
      operationId: '00000000-0000-4000-8000-000000000002',
      client: 'default',
      action: 'read',
      method: 'GET',
      pathTemplate: '/fhir/R4/Patient/{id}',
      resourceType: 'Patient',
      operation: '$everything',
      outcome: 'error',
      effect: 'none',
      identitySource: 'call',
      startedAt: '2026-01-02T03:04:05.000Z',
      endedAt: '2026-01-02T03:04:06.500Z',
      durationMs: 1500,
      attempts: [{ attempt: 1, durationMs: 1200, status: 404 }],
      status: 404,
      error: { name: 'MedplumNotFoundError', code: 'MEDPLUM_NOT_FOUND' },
      requestId: '00000000-0000-4000-8000-000000000001',
      traceId: '0af7651916cd43dd8448eb211c80319c',
      instanceId: '00000000-0000-4000-8000-000000000003',
      seq: 7,
      returned: { count: 2, total: 12, types: { Patient: 1, other: 1 } },
    });
  });
});

describe('An event for an audit trail', () => {
  it('names the identity and the resource', () => {
    expect(recorded().toPhiAudit()).toEqual({
      ...recorded().toJSON(),
      id: expect.any(String) as unknown,
      clientId: 'taint-client',
      baseUrl: 'https://example.org/projects/taint/',
      path: '/fhir/R4/Patient/taint-id',
      resourceId: 'taint-id',
      references: ['Patient/taint-id'],
      context: { purposeOfUse: ['taint'], subject: 'taint', actor: 'taint', address: 'taint' },
      onBehalfOf: 'ProjectMembership/taint',
      reason: 'because of taint',
      attempts: [{ attempt: 1, durationMs: 1200, status: 404, onBehalfOf: 'ProjectMembership/taint' }],
    });
  });

  it('names the search parameters only with includeQuery', () => {
    expect(recorded().toPhiAudit()).not.toHaveProperty('query');
    expect(recorded().toPhiAudit({ includeQuery: false })).not.toHaveProperty('query');
    expect(recorded().toPhiAudit({ includeQuery: true })).toMatchObject({
      query: { name: ['taint-1', 'taint-2'], _count: ['5'] },
    });
  });

  it('can be written as JSON', () => {
    const event = recorded().toPhiAudit({ includeQuery: true });
    expect(JSON.parse(JSON.stringify(event))).toMatchObject({
      onBehalfOf: 'ProjectMembership/taint',
      attempts: [{ onBehalfOf: 'ProjectMembership/taint' }],
    });
  });
});

describe('An event', () => {
  it('has a getter for each fact, also for PHI', () => {
    expect(recorded()).toMatchObject({
      path: '/fhir/R4/Patient/taint-id',
      resourceId: 'taint-id',
      query: { name: ['taint-1', 'taint-2'], _count: ['5'] },
      onBehalfOf: 'ProjectMembership/taint',
      reason: 'because of taint',
      startedAt: new Date('2026-01-02T03:04:05.000Z'),
      endedAt: new Date('2026-01-02T03:04:06.500Z'),
    });
    expect(recorded({ query: '' }).query).toBeUndefined();
  });

  it('has its own id', () => {
    expect(recorded().id).not.toBe(recorded().id);
  });

  it('is refused when nothing was sent, otherwise a success or an error', () => {
    expect(recorded({ attempts: [] }).outcome).toBe('refused');
    expect(recorded().outcome).toBe('error');
    expect(recorded({ error: undefined }).outcome).toBe('success');
  });

  it('cannot be changed', () => {
    const event = recorded();
    const parts: [object, string][] = [
      [event, 'client'],
      [event, 'onBehalfOf'],
      [event, 'path'],
      [event, 'added'],
      [event.attempts, '0'],
      [event.attempts, '1'],
      [event.attempts[0] as RequestAttempt, 'status'],
      [event.attempts[0] as RequestAttempt, 'onBehalfOf'],
      [event.error ?? {}, 'code'],
    ];
    for (const [part, key] of parts) {
      expect(Reflect.set(part, key, 'changed')).toBe(false);
    }
    event.startedAt.setTime(0);
    expect(event.startedAt).toEqual(new Date('2026-01-02T03:04:05.000Z'));
  });
});
