import type { Bundle, BundleEntry, Patient } from '@medplum/fhirtypes' with { 'resolution-mode': 'import' };
import { type IfMatch, MedplumBadRequestError, type PatchOperation, type SearchQuery } from 'nestjs-medplum';
import * as fhir from '../../lib/fhir/interactions';
import { search } from '../../lib/fhir/search';

const PATIENT: Patient = { resourceType: 'Patient', id: '1', meta: { versionId: '7', accounts: [] } };
const ifMatchOf = (request: { headers: Readonly<Record<string, string>> }) => request.headers['if-match'];

describe('An update', () => {
  it('is guarded by the version that was read', () => {
    expect(ifMatchOf(fhir.update(PATIENT))).toBe('W/"7"');
    expect(ifMatchOf(fhir.update(PATIENT, true))).toBe('W/"7"');
  });

  it('is not guarded when there is no version, or when that is asked for', () => {
    expect(ifMatchOf(fhir.update({ resourceType: 'Patient', id: '1' }))).toBeUndefined();
    expect(ifMatchOf(fhir.update({ ...PATIENT, meta: {} }))).toBeUndefined();
    expect(ifMatchOf(fhir.update(PATIENT, false))).toBeUndefined();
  });

  it.each(['9', '"9"', 'W/"9"'])('is guarded by the version %s that is named', (version) => {
    expect(ifMatchOf(fhir.update(PATIENT, version))).toBe('W/"9"');
  });

  // Medplum ignores what it cannot read, and overwrites.
  it.each(['*', '"*"', 'W/"*"', '', '""', 'w/"9"', '9"', '"9', '9, 10', '"9", "10"', '9\n', 'a b', null, 9, {}])(
    'cannot be guarded by %j',
    (version) => {
      expect(() => fhir.update(PATIENT, version as IfMatch)).toThrow(MedplumBadRequestError);
    },
  );

  it('refuses a version in the resource that is none', () => {
    expect(() => fhir.update({ ...PATIENT, meta: { versionId: '*' } })).toThrow(/meta\.versionId/);
  });

  it('needs an id', () => {
    expect(() => fhir.update({ resourceType: 'Patient' })).toThrow(/id of the Patient/);
  });

  it('shows no accounts to wipe: with a meta that has none it is not sent in extended mode', () => {
    expect(fhir.update({ ...PATIENT, meta: {} }).extended).toBe(false);
    expect(fhir.update({ ...PATIENT, meta: { versionId: '7' } }).extended).toBe(false);
    expect(fhir.update({ ...PATIENT, meta: { accounts: [{ reference: 'Organization/1' }] } }).extended).toBeUndefined();
    expect(fhir.update({ resourceType: 'Patient', id: '1' }).extended).toBeUndefined();
  });
});

describe('A request', () => {
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
  ])('to %s', (action, request, method, path, pathTemplate) => {
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
  ])('to %s names the type of its body', (_action, request, contentType) => {
    expect(request.headers['content-type']).toBe(contentType);
    expect(request.body === undefined).toBe(contentType === undefined);
  });

  it.each([null, undefined, 'Patient/1', 5, [], [PATIENT]])('cannot write %j', (resource) => {
    const given = resource as unknown as Patient;
    expect(() => fhir.create(given)).toThrow(MedplumBadRequestError);
    expect(() => fhir.update(given)).toThrow(MedplumBadRequestError);
  });

  it('cannot write what is no JSON', () => {
    const cycle: Record<string, unknown> = { resourceType: 'Patient', id: '1' };
    cycle['self'] = cycle;
    const big = { resourceType: 'Patient', id: '1', multipleBirthInteger: 1n } as unknown as Patient;
    for (const resource of [cycle as unknown, big] as Patient[]) {
      expect(() => fhir.create(resource)).toThrow(MedplumBadRequestError);
      expect(() => fhir.update(resource)).toThrow(MedplumBadRequestError);
    }
  });

  it.each<unknown>([[], undefined, null, {}, 'remove'])('cannot patch by %j', (operations) => {
    expect(() => fhir.patch('Patient', '1', operations as PatchOperation[])).toThrow(MedplumBadRequestError);
  });
});

/** A batch that reads, and then writes a resource. */
const put = (resource: Patient, method: 'PUT' | 'POST' | 'DELETE' = 'PUT'): Bundle => ({
  resourceType: 'Bundle',
  type: 'batch',
  entry: [{ request: { method: 'GET', url: 'Patient/1' } }, { resource, request: { method, url: 'Patient/1' } }],
});

describe('A bundle', () => {
  const entry: BundleEntry[] = [{ request: { method: 'GET', url: 'Patient/1' } }];

  it.each(['batch', 'transaction'] as const)('may be a %s', (type) => {
    const request = fhir.batch({ resourceType: 'Bundle', type, entry });
    expect(request).toMatchObject({
      action: type,
      method: 'POST',
      path: 'fhir/R4',
      query: '',
      repeatability: 'unsafe',
    });
  });

  it.each(['searchset', 'collection', 'document', 'history', undefined])('may not be a %s', (type) => {
    expect(() => fhir.batch({ resourceType: 'Bundle', type, entry } as Bundle)).toThrow(MedplumBadRequestError);
  });

  it.each([undefined, [], null])('may not have the entries %j', (entries) => {
    expect(() => fhir.batch({ resourceType: 'Bundle', type: 'batch', entry: entries } as unknown as Bundle)).toThrow(
      /no entries/,
    );
  });

  it.each([null, undefined, PATIENT, [], 'Bundle'])('is not %j', (bundle) => {
    expect(() => fhir.batch(bundle as unknown as Bundle)).toThrow(MedplumBadRequestError);
  });

  it('shows no accounts to wipe either', () => {
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
    ['a list of one', { identifier: ['urn:mrn|4711'] }],
    ['pairs', [['identifier', 'urn:other|a b']]],
  ])('by an identifier that its body carries may be repeated: %s', (_form, query) => {
    expect(fhir.createIfNoneExist(patient, query)).toMatchObject({
      repeatability: 'once-by-identifier',
      method: 'POST',
    });
  });

  it.each<readonly [string, SearchQuery]>([
    ['the identifier of somebody else', 'identifier=urn:mrn|4712'],
    ['another system', 'identifier=urn:other|4711'],
    ['no system', 'identifier=4711'],
    ['a bare identifier', 'identifier=|bare'],
    ['two identifiers', { identifier: ['urn:mrn|4711', 'urn:mrn|4712'] }],
    ['a further condition', 'identifier=urn:mrn|4711&active=true'],
    ['twice', 'identifier=urn:mrn|4711&identifier=urn:mrn|4711'],
    ['a modifier', 'identifier:not=urn:mrn|4711'],
    ['a name', 'name=Homer'],
    ['an id', '_id=1'],
  ])('by anything else may not: %s', (_what, query) => {
    expect(fhir.createIfNoneExist(patient, query).repeatability).toBe('unsafe');
  });

  it.each([
    ['a comma, which means OR', 'urn:mrn', '1,urn:mrn|2'],
    ['a bar', 'urn:mrn', '1|2'],
    ['a dollar', 'urn:mrn', '1$2'],
    ['an escape', 'urn:mrn', String.raw`1\2`],
    ['a comma in the system', 'urn:mrn,urn:x', '1'],
  ])('may not when search syntax makes another condition of the identifier: %s', (_what, system, value) => {
    const resource: Patient = { resourceType: 'Patient', identifier: [{ system, value }] };
    expect(fhir.createIfNoneExist(resource, { identifier: `${system}|${value}` }).repeatability).toBe('unsafe');
  });

  it('knows the single identifier of resources that have but one', () => {
    const response = {
      resourceType: 'QuestionnaireResponse',
      status: 'completed',
      identifier: { system: 'urn:form', value: '1' },
    } as const;
    expect(fhir.createIfNoneExist(response, 'identifier=urn:form|1').repeatability).toBe('once-by-identifier');
  });

  it('is not repeatable when the resource has no identifiers, or malformed ones', () => {
    for (const identifier of [undefined, null, [], [null], 'urn:mrn|4711', [{}]]) {
      const resource = { resourceType: 'Patient', identifier } as unknown as Patient;
      expect(fhir.createIfNoneExist(resource, 'identifier=urn:mrn|4711').repeatability).toBe('unsafe');
    }
  });

  it('sends its condition as one header of visible ASCII', () => {
    const { headers } = fhir.createIfNoneExist(patient, { name: 'Zoë\r\nx-medplum-on-behalf-of: x', active: true });
    expect(headers['if-none-exist']).toBe('name=Zo%C3%AB%0D%0Ax-medplum-on-behalf-of%3A+x&active=true');
  });

  it.each(['', '?', {}, [], { name: undefined }, undefined])('needs a condition, and %j is none', (query) => {
    expect(() => fhir.createIfNoneExist(patient, query as SearchQuery)).toThrow(/needs a condition/);
  });
});
