import { MedplumBadRequestError } from 'nestjs-medplum';
import { readHistory, readReference } from '../../lib/fhir/versions';

const BASE = { origin: 'https://medplum.example', path: '/projects/p/' };

describe('A reference', () => {
  it.each([
    ['Patient/1', 'fhir/R4/Patient/1'],
    ['Patient/1/_history/2', 'fhir/R4/Patient/1/_history/2'],
    [{ reference: 'Patient/1', display: 'A' }, 'fhir/R4/Patient/1'],
    ['https://medplum.example/projects/p/fhir/R4/Patient/1', 'fhir/R4/Patient/1'],
  ])('reads %j', (reference, path) => {
    expect(readReference(reference, BASE).path).toBe(path);
  });

  it.each([
    '',
    '#p1',
    'Patient',
    'Patient/',
    'Patient/..',
    'Patient/1/_history',
    'Patient/1/_history/..',
    'Patient/1/$everything/x',
    'Patient/1/_history/2/3',
    'patient/1',
    '/Patient/1',
    'Patient?identifier=1',
    'urn:uuid:00000000-0000-4000-8000-000000000000',
    'https://other.example/projects/p/fhir/R4/Patient/1',
    'https://medplum.example/projects/q/fhir/R4/Patient/1',
    'https://medplum.example@other.example/projects/p/fhir/R4/Patient/1',
    'https://medplum.example/projects/p/fhir/R4/../../admin/Patient/1',
    'https://medplum.example/projects/p/fhir/R4/Patient%2f1',
    undefined,
    null,
    5,
    {},
    { reference: null },
    { type: 'Patient', identifier: { value: '1' } },
  ])('refuses %j', (reference) => {
    expect(() => readReference(reference, BASE)).toThrow(MedplumBadRequestError);
  });
});

it.each([{ count: -1 }, { count: 1.5 }, { offset: Number.NaN }, { count: '5' as unknown as number }])(
  'A history refuses the page %j',
  (page) => {
    expect(() => readHistory('Patient', '1', page)).toThrow(MedplumBadRequestError);
  },
);
