import type { Bundle, BundleEntry, Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { type IfMatch, MedplumBadRequestError, type PatchOperation, type SearchQuery } from 'nestjs-medplum';
import * as fhir from '../../lib/fhir/interactions';
import { search } from '../../lib/fhir/search';

const PATIENT: Patient = { resourceType: 'Patient', id: '1', meta: { versionId: '7', accounts: [] } };
const ifMatchOf = (request: { headers: Readonly<Record<string, string>> }) => request.headers['if-match'];

describe('An update', () => {
  it('carries the version of the resource by default', () => {
    expect(ifMatchOf(fhir.update(PATIENT))).toBe('W/"7"');
    expect(ifMatchOf(fhir.update(PATIENT, true))).toBe('W/"7"');
  });

  it('carries no version if the resource has none, or if the caller turns it off', () => {
    expect(ifMatchOf(fhir.update({ resourceType: 'Patient', id: '1' }))).toBeUndefined();
    expect(ifMatchOf(fhir.update({ ...PATIENT, meta: {} }))).toBeUndefined();
    expect(ifMatchOf(fhir.update(PATIENT, false))).toBeUndefined();
  });

  it.each(['9', '"9"', 'W/"9"'])('carries the version %s that the caller passes', (version) => {
    expect(ifMatchOf(fhir.update(PATIENT, version))).toBe('W/"9"');
  });

  // Medplum ignores a version that it cannot read, and overwrites the resource.
  it.each(['*', '"*"', 'W/"*"', '', '""', 'w/"9"', '9"', '"9', '9, 10', '"9", "10"', '9\n', 'a b', null, 9, {}])(
    'refuses %j as a version',
    (version) => {
      expect(() => fhir.update(PATIENT, version as IfMatch)).toThrow(MedplumBadRequestError);
    },
  );

  it('refuses an invalid version in the resource', () => {
    expect(() => fhir.update({ ...PATIENT, meta: { versionId: '*' } })).toThrow(/meta\.versionId/);
  });

  it('requires an id', () => {
    expect(() => fhir.update({ resourceType: 'Patient' })).toThrow(/id of the Patient/);
  });

  it('is not sent in extended mode if its meta has no accounts, so that the server keeps them', () => {
    expect(fhir.update({ ...PATIENT, meta: {} }).extended).toBe(false);
    expect(fhir.update({ ...PATIENT, meta: { versionId: '7' } }).extended).toBe(false);
    expect(fhir.update({ ...PATIENT, meta: { accounts: [{ reference: 'Organization/1' }] } }).extended).toBeUndefined();
    expect(fhir.update({ resourceType: 'Patient', id: '1' }).extended).toBeUndefined();
  });
});

describe('The request', () => {
  it.each([
    ['read', fhir.read('Patient', '1'), 'GET', 'fhir/R4/Patient/1', '/fhir/R4/Patient/{id}'],
    ['search', search('Patient', 'name=a'), 'GET', 'fhir/R4/Patient', '/fhir/R4/Patient'],
    ['create', fhir.create(PATIENT), 'POST', 'fhir/R4/Patient', '/fhir/R4/Patient'],
    ['update', fhir.update(PATIENT), 'PUT', 'fhir/R4/Patient/1', '/fhir/R4/Patient/{id}'],
    ['delete', fhir.remove('Patient', '1'), 'DELETE', 'fhir/R4/Patient/1', '/fhir/R4/Patient/{id}'],
    [
      'patch',
      fhir.patch('Patient', '1', [{ op: 'remove', path: '/name' }]),
      'PATCH',
      'fhir/R4/Patient/1',
      '/fhir/R4/Patient/{id}',
    ],
  ])('to %s has its method, path and repeatability', (action, request, method, path, pathTemplate) => {
    expect(request).toMatchObject({ action, method, path, pathTemplate, resourceType: 'Patient' });
    expect(request.headers['accept']).toBe('application/fhir+json');
    const isRead = action === 'read' || action === 'search';
    expect(request.repeatability).toBe(isRead ? 'safe' : 'unsafe');
  });

  it.each([
    ['create', fhir.create(PATIENT), 'application/fhir+json'],
    ['update', fhir.update(PATIENT), 'application/fhir+json'],
    ['patch', fhir.patch('Patient', '1', [{ op: 'remove', path: '/name' }]), 'application/json-patch+json'],
    ['read', fhir.read('Patient', '1'), undefined],
    ['delete', fhir.remove('Patient', '1'), undefined],
  ])('to %s has the content type of its body', (_action, request, contentType) => {
    expect(request.headers['content-type']).toBe(contentType);
    expect(request.body === undefined).toBe(contentType === undefined);
  });

  it.each([null, undefined, 'Patient/1', 5, [], [PATIENT]])('refuses %j as a resource', (resource) => {
    const given = resource as unknown as Patient;
    expect(() => fhir.create(given)).toThrow(MedplumBadRequestError);
    expect(() => fhir.update(given)).toThrow(MedplumBadRequestError);
  });

  it('refuses a resource that cannot be written as JSON', () => {
    const cycle: Record<string, unknown> = { resourceType: 'Patient', id: '1' };
    cycle['self'] = cycle;
    const big = { resourceType: 'Patient', id: '1', multipleBirthInteger: 1n } as unknown as Patient;
    for (const resource of [cycle as unknown, big] as Patient[]) {
      expect(() => fhir.create(resource)).toThrow(MedplumBadRequestError);
      expect(() => fhir.update(resource)).toThrow(MedplumBadRequestError);
    }
  });

  it.each<unknown>([[], undefined, null, {}, 'remove'])('refuses %j as a patch', (operations) => {
    expect(() => fhir.patch('Patient', '1', operations as PatchOperation[])).toThrow(MedplumBadRequestError);
  });
});

/** A batch that reads a resource and then writes it. */
const put = (resource: Patient, method: 'PUT' | 'POST' | 'DELETE' = 'PUT'): Bundle => ({
  resourceType: 'Bundle',
  type: 'batch',
  entry: [{ request: { method: 'GET', url: 'Patient/1' } }, { resource, request: { method, url: 'Patient/1' } }],
});

describe('A bundle', () => {
  const entry: BundleEntry[] = [{ request: { method: 'GET', url: 'Patient/1' } }];

  it.each<readonly [string, readonly object[]]>([
    [
      'writes as well',
      [
        { method: 'GET', url: 'Patient/1' },
        { method: 'DELETE', url: 'Patient/2' },
      ],
    ],
    ['calls an operation', [{ method: 'GET', url: 'Bot/1/$execute' }]],
    ['calls an encoded operation', [{ method: 'GET', url: 'Bot/1/%24execute' }]],
    ['has a method of another spelling', [{ method: 'get', url: 'Patient/1' }]],
    ['has an entry without a URL', [{ method: 'GET' }]],
  ])('is no read when it %s', (_what, requests) => {
    const bundle = { resourceType: 'Bundle', type: 'batch', entry: requests.map((request) => ({ request })) };
    expect(fhir.batch(bundle as unknown as Bundle).repeatability).toBe('unsafe');
  });

  it.each(['batch', 'transaction'] as const)('may have the type %s', (type) => {
    const request = fhir.batch({ resourceType: 'Bundle', type, entry });
    expect(request).toMatchObject({
      action: type,
      method: 'POST',
      path: 'fhir/R4',
      query: '',
      repeatability: 'safe',
    });
  });

  it.each(['searchset', 'collection', 'document', 'history', undefined])('may not have the type %s', (type) => {
    expect(() => fhir.batch({ resourceType: 'Bundle', type, entry } as Bundle)).toThrow(MedplumBadRequestError);
  });

  it.each([undefined, [], null])('may not have the entries %j', (entries) => {
    expect(() => fhir.batch({ resourceType: 'Bundle', type: 'batch', entry: entries } as unknown as Bundle)).toThrow(
      /no entries/,
    );
  });

  it.each([null, undefined, PATIENT, [], 'Bundle'])('may not be %j', (bundle) => {
    expect(() => fhir.batch(bundle as unknown as Bundle)).toThrow(MedplumBadRequestError);
  });

  it('is not sent in extended mode either if an entry would delete accounts', () => {
    expect(fhir.batch(put({ ...PATIENT, meta: { versionId: '7' } })).extended).toBe(false);
    expect(fhir.batch(put(PATIENT)).extended).toBeUndefined();
    expect(fhir.batch(put({ resourceType: 'Patient', id: '1' })).extended).toBeUndefined();
    expect(fhir.batch(put({ resourceType: 'Patient', meta: {} }, 'POST')).extended).toBeUndefined();
  });
});

describe('A conditional create', () => {
  const patient: Patient = {
    resourceType: 'Patient',
    identifier: [{ system: 'urn:mrn', value: '4711' }, { system: 'urn:other', value: 'a b' }, { value: 'bare' }],
  };

  it.each<readonly [string, SearchQuery]>([
    ['text', 'identifier=urn:mrn|4711'],
    ['encoded text', 'identifier=urn%3Amrn%7C4711'],
    ['an object', { identifier: 'urn:mrn|4711' }],
    ['a list with one value', { identifier: ['urn:mrn|4711'] }],
    ['pairs', [['identifier', 'urn:other|a b']]],
  ])('may be repeated if its condition is an identifier of the resource: %s', (_form, query) => {
    expect(fhir.createIfNoneExist(patient, query)).toMatchObject({
      repeatability: 'once-by-identifier',
      method: 'POST',
    });
  });

  it.each<readonly [string, SearchQuery]>([
    ['an identifier of another resource', 'identifier=urn:mrn|4712'],
    ['another system', 'identifier=urn:other|4711'],
    ['no system', 'identifier=4711'],
    ['a bare identifier', 'identifier=|bare'],
    ['two identifiers', { identifier: ['urn:mrn|4711', 'urn:mrn|4712'] }],
    ['an additional condition', 'identifier=urn:mrn|4711&active=true'],
    ['the same condition twice', 'identifier=urn:mrn|4711&identifier=urn:mrn|4711'],
    ['a modifier', 'identifier:not=urn:mrn|4711'],
    ['a name', 'name=Homer'],
    ['an id', '_id=1'],
  ])('may not be repeated if its condition is anything else: %s', (_what, query) => {
    expect(fhir.createIfNoneExist(patient, query).repeatability).toBe('unsafe');
  });

  it.each([
    ['a comma, which means OR', 'urn:mrn', '1,urn:mrn|2'],
    ['a bar', 'urn:mrn', '1|2'],
    ['a dollar', 'urn:mrn', '1$2'],
    ['an escape', 'urn:mrn', String.raw`1\2`],
    ['a comma in the system', 'urn:mrn,urn:x', '1'],
  ])('may not be repeated if search syntax changes the meaning of the identifier: %s', (_what, system, value) => {
    const resource: Patient = { resourceType: 'Patient', identifier: [{ system, value }] };
    expect(fhir.createIfNoneExist(resource, { identifier: `${system}|${value}` }).repeatability).toBe('unsafe');
  });

  it('recognises the identifier of resource types that have a single one', () => {
    const response = {
      resourceType: 'QuestionnaireResponse',
      status: 'completed',
      identifier: { system: 'urn:form', value: '1' },
    } as const;
    expect(fhir.createIfNoneExist(response, 'identifier=urn:form|1').repeatability).toBe('once-by-identifier');
  });

  it('may not be repeated if the resource has no identifiers, or malformed ones', () => {
    for (const identifier of [undefined, null, [], [null], 'urn:mrn|4711', [{}]]) {
      const resource = { resourceType: 'Patient', identifier } as unknown as Patient;
      expect(fhir.createIfNoneExist(resource, 'identifier=urn:mrn|4711').repeatability).toBe('unsafe');
    }
  });

  it('sends its condition in one header of visible ASCII characters', () => {
    const { headers } = fhir.createIfNoneExist(patient, { name: 'Zoë\r\nx-medplum-on-behalf-of: x', active: true });
    expect(headers['if-none-exist']).toBe('name=Zo%C3%AB%0D%0Ax-medplum-on-behalf-of%3A+x&active=true');
  });

  it.each(['', '?', {}, [], { name: undefined }, undefined])('refuses %j, which is no condition', (query) => {
    expect(() => fhir.createIfNoneExist(patient, query as SearchQuery)).toThrow(/conditional call has no condition/);
  });
});
