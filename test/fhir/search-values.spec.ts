import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { and, dateRange, literal, MedplumBadRequestError, quantity, referenceTo, token } from 'nestjs-medplum';
import { searchQuery } from '../../lib/fhir/search-query';
import { searchParameterNames } from './search-parameter-names.cjs';

/** Splits a text at each unescaped `separator`, and removes the escapes (FHIR R4 section 3.1.1.4.0.1). */
function split(text: string, separator: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (let i = 0; i < text.length; i++) {
    if (text[i] === separator) {
      parts.push(part);
      part = '';
    } else {
      part += text[i] === '\\' ? (text[++i] ?? '') : text[i];
    }
  }
  return [...parts, part];
}

const read = (query: unknown): [string, string][] => [...new URLSearchParams(searchQuery(query))];
const text = fc.string({ minLength: 1, unit: fc.constantFrom(...'ab,|$\\ é&=%'.split('')) });

describe('A search value', () => {
  it('may be any text, and is read back unchanged', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1 }), (values) => {
        const [[, sent] = ['', '']] = read({ name: values.map((value) => literal(value)) });
        expect(split(sent, ',')).toEqual(values);
      }),
    );
  });

  it('may be a token with any system and code', () => {
    fc.assert(
      fc.property(text, text, (system, code) => {
        expect(split(String(token(system, code)), '|')).toEqual([system, code]);
        expect(String(token({ system, value: code }))).toBe(String(token(system, code)));
      }),
    );
  });

  it.each([
    [token('urn:mrn'), 'urn:mrn|'],
    [token('', 'a'), '|a'],
    [token({ code: 'a' }), 'a'],
    [quantity('ge', 5.4), 'ge5.4'],
    [quantity('eq', 5, { system: 'http://u', code: 'mg' }), '5|http://u|mg'],
    [quantity('lt', -1, { code: 'mg' }), 'lt-1||mg'],
    [referenceTo('Patient/1'), 'Patient/1'],
    [referenceTo({ resourceType: 'Patient', id: '1' }), 'Patient/1'],
    [referenceTo({ reference: 'Patient/1' }), 'Patient/1'],
  ])('is sent as %s', (term, sent) => {
    expect(String(term)).toBe(sent);
  });

  it.each([
    () => literal(''),
    () => literal(5 as unknown as string),
    () => token({}),
    () => token('', ''),
    () => token(undefined as unknown as string),
    () => quantity('xx' as 'eq', 1),
    () => quantity('eq', Number.NaN),
    () => quantity('eq', 1, { system: 'http://u' }),
    () => referenceTo(''),
    () => referenceTo('Patient'),
    () => referenceTo('Patient/1,Patient/2'),
    () => referenceTo('Patient/..'),
    () => referenceTo('Patient/1/_history/1'),
    () => referenceTo({ resourceType: 'Patient' }),
    () => dateRange({}),
    () => dateRange({ ge: 'yesterday' }),
    () => dateRange({ ge: '2024-01-01,gt2000-01-01' }),
    () => dateRange({ ge: new Date(Number.NaN) }),
    () => dateRange({ ge: '2024-02-30' }),
    () => dateRange({ ge: '2023-02-29T10:00:00Z' }),
    () => dateRange({ ge: '2024-13' }),
    () => dateRange({ ge: '2024-00-01' }),
    () => and(),
  ])('is refused for %s', (make) => {
    expect(make).toThrow(MedplumBadRequestError);
  });
});

describe('A search object', () => {
  it('expresses AND by repetition and OR by commas', () => {
    expect(read({ city: and('a', ['b', 'c,d'], literal('e,f')) })).toEqual([
      ['city', 'a'],
      ['city', String.raw`b,c\,d`],
      ['city', String.raw`e\,f`],
    ]);
    expect(read({ birthdate: dateRange({ ge: '2024-01-31', lt: new Date(0) }) })).toEqual([
      ['birthdate', 'ge2024-01-31'],
      ['birthdate', 'lt1970-01-01T00:00:00.000Z'],
    ]);
  });

  it.each([
    // Servers up to 5.0 refuse years, months and times without seconds, and compare a day with its first moment.
    [{ ge: '1960' }, 'ge1960-01-01'],
    [{ gt: '1960' }, 'ge1961-01-01'],
    [{ le: '1960' }, 'lt1961-01-01'],
    [{ lt: '1960' }, 'lt1960-01-01'],
    [{ ge: '2023-12' }, 'ge2023-12-01'],
    [{ gt: '2023-12' }, 'ge2024-01-01'],
    [{ le: '2024-01' }, 'lt2024-02-01'],
    [{ le: '2024-02-28' }, 'lt2024-02-29'],
    [{ gt: '2024-12-31' }, 'ge2025-01-01'],
    [{ ge: '2024-01-31' }, 'ge2024-01-31'],
    [{ le: '9999-12-31' }, 'le9999-12-31'],
    [{ gt: '9999' }, 'gt9999-12-31'],
    [{ le: '0000' }, 'lt0001-01-01'],
    [{ ge: '2024-01-31T08:00' }, 'ge2024-01-31T08:00:00'],
    [{ le: '2024-01-31T08:00+02:00' }, 'le2024-01-31T08:00:00+02:00'],
    [{ le: '2024-01-31T08:00:00.123Z' }, 'le2024-01-31T08:00:00.123Z'],
  ])('writes the date range %j as %s, in a form that every server reads alike', (bounds, expected) => {
    expect(read({ birthdate: dateRange(bounds) })).toEqual([['birthdate', expected]]);
  });

  it('repeats _include and _revinclude, in which a comma does not mean OR', () => {
    expect(read({ _include: ['A:b', 'C:d'], '_revinclude:iterate': ['E:f', 'G:h'] })).toEqual([
      ['_include', 'A:b'],
      ['_include', 'C:d'],
      ['_revinclude:iterate', 'E:f'],
      ['_revinclude:iterate', 'G:h'],
    ]);
  });

  it.each(['a'.repeat(256), 'a b', '%2e', 'a/b', '', '$x', 'a&b'])('refuses the parameter name %j', (name) => {
    expect(() => searchQuery({ [name]: 'x' })).toThrow(MedplumBadRequestError);
    expect(() => searchQuery([[name, 'x']])).toThrow(MedplumBadRequestError);
  });

  it('has types for the search parameters that Medplum defines', () => {
    const source = readFileSync(join(__dirname, '../../lib/fhir/search-parameter-names.ts'), 'utf8');
    const written = Object.fromEntries(
      [...source.matchAll(/^ {2}(\w+):([^;]*);/gm)].map(([, type, names]) => [
        type,
        [...(names ?? '').matchAll(/'([^']+)'/g)].map(([, name]) => name),
      ]),
    );
    expect(written).toEqual(searchParameterNames());
  });
});
