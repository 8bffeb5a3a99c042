import * as fc from 'fast-check';
import { OnBehalfOfReferenceError } from 'nestjs-medplum';
import { parseOnBehalfOf } from '../../lib/on-behalf-of/on-behalf-of.reference';

const CLIENT_ID = '5f0c2a4e-1111-4222-8333-444455556666';
const TYPES = ['ProjectMembership', 'Practitioner', 'Patient', 'RelatedPerson', 'Bot', 'ClientApplication'];

const parse = (input: unknown) => parseOnBehalfOf(input, 'The value', CLIENT_ID);

const accepts = (input: unknown): boolean => {
  try {
    return parse(input) !== undefined;
  } catch (error) {
    if (error instanceof OnBehalfOfReferenceError) return false;
    throw error;
  }
};

const id = fc.stringMatching(/^[A-Za-z0-9.-]{1,64}$/).filter((value) => value !== '.' && value !== '..');

describe('parseOnBehalfOf', () => {
  it.each([
    ['a bare id', '0f3c', 'ProjectMembership/0f3c'],
    ['a membership', 'ProjectMembership/0f3c', 'ProjectMembership/0f3c'],
    ['a resource', { resourceType: 'Practitioner', id: 'p1' }, 'Practitioner/p1'],
    ['a FHIR Reference', { reference: 'Patient/p1', display: 'Homer' }, 'Patient/p1'],
    ['an upper-case id, unchanged', 'ProjectMembership/0F3C', 'ProjectMembership/0F3C'],
    ['another client', 'ClientApplication/c2', 'ClientApplication/c2'],
  ])('takes %s', (_what, input, expected) => {
    expect(parse(input)).toBe(expected);
  });

  it('takes every profile type with every FHIR id, and sends it unchanged', () => {
    fc.assert(
      fc.property(fc.constantFrom(...TYPES), id, (type, value) => {
        fc.pre(value.toLowerCase() !== CLIENT_ID);
        const reference = `${type}/${value}`;
        expect([parse(reference), parse({ reference }), parse({ resourceType: type, id: value })]).toEqual(
          Array(3).fill(reference),
        );
        expect(parse(value)).toBe(`ProjectMembership/${value}`);
      }),
    );
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['an empty string', ''],
    ['a blank', ' '],
    ['a blank before it', ' ProjectMembership/a'],
    ['a blank inside', 'ProjectMembership/ a'],
    ['no id', 'ProjectMembership/'],
    ['a type alone', 'Patient'],
    ['the type of memberships alone', 'ProjectMembership'],
    ['a type that is no profile, alone', 'Observation'],
    ['no type', '/a'],
    ['another type', 'Organization/a'],
    ['a type in lower case', 'projectmembership/a'],
    ['a version', 'ProjectMembership/a/_history/1'],
    ['a path upwards', 'ProjectMembership/../Patient/a'],
    ['a dot', 'ProjectMembership/.'],
    ['two dots', '..'],
    ['a trailing slash', 'Practitioner/a/'],
    ['two profiles', 'Practitioner/a,Practitioner/b'],
    ['two memberships', 'ProjectMembership/a, ProjectMembership/b'],
    ['a line break', 'ProjectMembership/a\r\nX-Evil: 1'],
    ['a line break at the end', 'ProjectMembership/a\n'],
    ['a NUL', 'ProjectMembership/a\0'],
    ['a percent escape', 'ProjectMembership/%61'],
    ['an absolute URL', 'https://api.medplum.com/fhir/R4/Practitioner/a'],
    ['a letter that only looks like a Latin one', 'ProjectMembership/\u0430'],
    ['65 characters', `ProjectMembership/${'a'.repeat(65)}`],
    ['an id with an underscore', 'a_b'],
    ['a number', 7],
    ['an array', ['ProjectMembership/a']],
    ['a function', () => 'ProjectMembership/a'],
    ['an object without an id', { resourceType: 'Practitioner' }],
    ['a Reference without a type', { reference: 'abc' }],
    ['a Reference with neither', { display: 'Homer' }],
    ['an object whose id is a path', { resourceType: 'Practitioner', id: 'a/../b' }],
  ])('refuses %s', (_what, input) => {
    expect(() => parse(input)).toThrow(OnBehalfOfReferenceError);
  });

  it.each([`ClientApplication/${CLIENT_ID}`, `ClientApplication/${CLIENT_ID.toUpperCase()}`])(
    'refuses the client itself (%s), which has the rights of a project admin',
    (own) => {
      expect(() => parse(own)).toThrow(/asClientApplication/);
      expect(() => parse({ reference: own })).toThrow(OnBehalfOfReferenceError);
    },
  );

  it('refuses everything that is not exactly one reference', () => {
    const strange = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.tuple(fc.constantFrom(...TYPES), fc.string()).map((parts) => parts.join('/')),
    );
    fc.assert(
      fc.property(strange, (input) => {
        const wellFormed =
          /^(?:(?:ProjectMembership|Practitioner|Patient|RelatedPerson|Bot|ClientApplication)\/)?[A-Za-z0-9.-]{1,64}$/;
        const expected = wellFormed.test(input) && !/(?:^|\/)\.{1,2}$/.test(input);
        expect(accepts(input)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('never repeats the value in its error', () => {
    for (const input of ['planted-id,b', 'Organization/planted-id', ' planted-id', { reference: 'planted-id/x/y' }]) {
      expect(() => parse(input)).toThrow(expect.objectContaining({ message: expect.not.stringContaining('planted') }));
    }
  });
});
