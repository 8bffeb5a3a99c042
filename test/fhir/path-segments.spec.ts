import * as fc from 'fast-check';
import { MedplumBadRequestError } from 'nestjs-medplum';
import { checkId, checkResourceType } from '../../lib/fhir/path-segments';
import { isFhirId } from '../../lib/shared/fhir-id';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

/** Characters of an id: letters, digits, `-` and `.`, at most 64 of them (FHIR R4 section 2.24.0.1). */
const ID_CHARACTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.'.split('');
const idCharacter = fc.constantFrom(...ID_CHARACTERS);
const id = fc
  .string({ unit: idCharacter, minLength: 1, maxLength: 64 })
  .filter((text) => text !== '.' && text !== '..');

const WRONG = [
  '',
  '.',
  '..',
  '../Practitioner/1',
  'a/b',
  '/',
  'a/',
  String.raw`a\b`,
  'a%2Fb',
  '%2e%2e',
  'a'.repeat(65),
  'a\n',
  '\na',
  'a\r\nb',
  'a b',
  'a?_format=xml',
  'a#b',
  'a,b',
  'a_b',
  'é',
  'a\0',
  '\u2024\u2024',
];

describe('An id in a path', () => {
  it('may be any FHIR id, and is sent unchanged', () => {
    fc.assert(
      fc.property(id, (text) => {
        expect(checkId(text, 'id')).toBe(text);
        expect(new URL(`https://h/fhir/R4/Patient/${text}`).pathname).toBe(`/fhir/R4/Patient/${text}`);
      }),
    );
  });

  it('may hold no other character, not even one', () => {
    const foreign = fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter((c) => !ID_CHARACTERS.includes(c));
    const around = fc.string({ unit: idCharacter, maxLength: 20 });
    fc.assert(
      fc.property(around, foreign, around, (before, letter, after) => {
        expect(isFhirId(before + letter + after)).toBe(false);
      }),
    );
  });

  it.each(WRONG)('may not be %j, and the error does not quote it', (text) => {
    expect(() => checkId(text, 'id of the Patient')).toThrow(MedplumBadRequestError);
    expect(() => checkId(text, 'id of the Patient')).toThrow(/^The id of the Patient must be a FHIR id/);
  });

  it.each([undefined, null, 5, true, {}, [], ['a'], { toString: () => 'a' }])('may not be %p', (value) => {
    expect(() => checkId(value, 'id')).toThrow(MedplumBadRequestError);
  });
});

describe('A resource type in a path', () => {
  it.each(['Patient', 'AccessPolicy', 'ProjectMembership'])('may be %s', (type) => {
    expect(checkResourceType(type)).toBe(type);
  });

  it.each([...WRONG, 'patient', 'Patient/1', 'Patient?', 'Patient2', 'P', '$graphql', undefined, null, 5, ['Patient']])(
    'may not be %j',
    (type) => {
      expect(() => checkResourceType(type)).toThrow(MedplumBadRequestError);
    },
  );
});

describe('A call with an invalid id or type', () => {
  let app: MedplumApp;

  beforeAll(async () => (app = await startMedplumApp()));
  afterAll(() => app.close());

  it.each(WRONG)('sends nothing for %j', async (text) => {
    const { medplum } = app;
    const onBehalfOf = 'm-1';
    const type = text as 'Patient';
    const calls = [
      medplum.readResource('Patient', text, { onBehalfOf }),
      medplum.deleteResource('Patient', text, { onBehalfOf }),
      medplum.patchResource('Patient', text, [{ op: 'remove', path: '/name' }], { onBehalfOf }),
      medplum.updateResource({ resourceType: 'Patient', id: text }, { onBehalfOf }),
      medplum.readResource(type, '1', { onBehalfOf }),
      medplum.search(type, '', { onBehalfOf }),
      medplum.createResource({ resourceType: type }, { onBehalfOf }),
    ];
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'MEDPLUM_BAD_REQUEST', effect: 'none' } });
    }
    expect(app.wire.requests).toHaveLength(0);
  });
});
