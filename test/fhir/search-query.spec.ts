import * as fc from 'fast-check';
import { MedplumBadRequestError } from 'nestjs-medplum';
import { searchQuery } from '../../lib/fhir/search-query';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

/** The parameters as the server reads them. */
const read = (query: unknown): [string, string][] => [...new URLSearchParams(searchQuery(query))];

/** The alternatives of a value, as FHIR R4 section 3.1.1.4.0.1 has a server read it. */
function alternativesOf(value: string): string[] {
  const result = [''];
  for (let i = 0; i < value.length; i++) {
    if (value[i] === ',') {
      result.push('');
    } else {
      i += value[i] === '\\' ? 1 : 0;
      result.push((result.pop() ?? '') + (value[i] ?? ''));
    }
  }
  return result;
}

describe('A search query', () => {
  it.each<readonly [string, unknown]>([
    ['text', 'name=Homer&birthdate=ge1956'],
    ['text with a question mark', '?name=Homer&birthdate=ge1956'],
    ['URLSearchParams', new URLSearchParams({ name: 'Homer', birthdate: 'ge1956' })],
    [
      'pairs',
      [
        ['name', 'Homer'],
        ['birthdate', 'ge1956'],
      ],
    ],
    [
      'a Map',
      new Map([
        ['name', 'Homer'],
        ['birthdate', 'ge1956'],
      ]),
    ],
    ['an object', { name: 'Homer', birthdate: 'ge1956' }],
  ])('may be %s', (_form, query) => {
    expect(read(query)).toEqual([
      ['name', 'Homer'],
      ['birthdate', 'ge1956'],
    ]);
  });

  it.each([undefined, '', '?', {}, [], new URLSearchParams()])('may be empty: %j', (query) => {
    expect(searchQuery(query)).toBe('');
  });

  it('takes numbers and booleans', () => {
    expect(read({ _count: 0, active: false, 'value-quantity': 1.5 })).toEqual([
      ['_count', '0'],
      ['active', 'false'],
      ['value-quantity', '1.5'],
    ]);
  });

  it('leaves out what is undefined', () => {
    expect(read({ name: undefined, active: true })).toEqual([['active', 'true']]);
  });

  it('takes an array for OR, and escapes what would be another OR (FHIR R4 section 3.1.1.4.0.1)', () => {
    expect(read({ status: ['final', 'amended'] })).toEqual([['status', 'final,amended']]);
    expect(read({ name: ['Simpson, Homer', String.raw`a\b`] })).toEqual([['name', String.raw`Simpson\, Homer,a\\b`]]);
    // A token keeps its bar, and a value by itself is search syntax as it is.
    expect(read({ identifier: ['urn:a|1', 'urn:b|2'], code: 'a,b' })).toEqual([
      ['identifier', 'urn:a|1,urn:b|2'],
      ['code', 'a,b'],
    ]);
  });

  it('can always be taken apart into the alternatives that were given', () => {
    const value = fc.string({
      unit: fc.constantFrom('a', 'B', '1', ',', '\\', '|', ' ', '&', '=', '%', '+', 'é'),
      minLength: 1,
    });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 5 }), (values) => {
        const [pair, ...others] = read({ name: values });
        expect(others).toEqual([]);
        expect(alternativesOf(pair?.[1] ?? '')).toEqual(values);
      }),
    );
  });

  it('repeats a parameter for AND, in order', () => {
    expect(
      read([
        ['date', 'ge2020'],
        ['date', 'lt2021'],
      ]),
    ).toEqual([
      ['date', 'ge2020'],
      ['date', 'lt2021'],
    ]);
  });

  it.each([
    'name',
    '_id',
    'name:exact',
    'subject:Patient.name',
    '_has:Observation:patient:code',
    'value-quantity',
    '_type',
  ])('takes the parameter %s', (name) => {
    expect(read({ [name]: 'x' })).toEqual([[name, 'x']]);
  });

  it.each(['', ' ', 'a b', 'name&x', 'name=x', 'name#', 'name/x', '1name', '-name', 'näme', 'name\n', 'Homer Simpson'])(
    'refuses the parameter %j, in every form and without repeating it',
    (name) => {
      for (const query of [
        { [name]: 'x' },
        [[name, 'x']],
        { [name]: ['x'] },
        { [name]: [] },
        { [name]: {} },
        [[name, {}]],
      ]) {
        expect(() => read(query)).toThrow(MedplumBadRequestError);
        expect(() => read(query)).toThrow('A name in the search query is no FHIR search parameter.');
      }
    },
  );

  it('refuses an empty list and empty text, which would match everything', () => {
    expect(() => read({ _id: [] })).toThrow(/_id has no values/);
    for (const query of ['identifier=', { identifier: '' }, { identifier: ['a', ''] }, [['identifier', '']]]) {
      expect(() => read(query)).toThrow(/identifier is empty/);
    }
  });

  it.each([null, {}, Number.NaN, Number.POSITIVE_INFINITY, () => 'x', Symbol('x'), 1n, [['x']], [undefined], [null]])(
    'refuses the value %p',
    (value) => {
      expect(() => read({ name: value })).toThrow(MedplumBadRequestError);
    },
  );

  it.each([null, 5, true, () => 'name=x', [5], [['name']], ['name=x'], [null], new Set(['name'])])(
    'cannot be %p',
    (query) => {
      expect(() => read(query)).toThrow(MedplumBadRequestError);
    },
  );

  it('says the same in every form', () => {
    const name = fc.constantFrom('name', '_id', 'name:exact', 'subject:Patient.name');
    const pairs = fc.uniqueArray(fc.tuple(name, fc.string({ unit: 'grapheme', minLength: 1 })), {
      selector: ([key]) => key,
    });
    fc.assert(
      fc.property(pairs, (given) => {
        const parameters = new URLSearchParams(given);
        for (const query of [given, Object.fromEntries(given), parameters, parameters.toString()]) {
          expect(read(query)).toEqual([...parameters]);
        }
      }),
    );
  });
});

describe('A search', () => {
  let app: MedplumApp;

  beforeAll(async () => (app = await startMedplumApp()));
  beforeEach(() => (app.wire.handler = () => ({ body: { resourceType: 'Bundle', type: 'searchset' } })));
  afterAll(() => app.close());

  it('sends its query encoded', async () => {
    await app.medplum.search('Patient', { name: 'Homer & Marge', _sort: '-_lastUpdated' }, { onBehalfOf: 'm-1' });
    const url = new URL(app.wire.requests.at(-1)?.path ?? '', app.wire.baseUrl);
    expect(url.pathname).toBe('/fhir/R4/Patient');
    expect([...url.searchParams]).toEqual([
      ['name', 'Homer & Marge'],
      ['_sort', '-_lastUpdated'],
    ]);
  });

  it('has no question mark without a query', async () => {
    await app.medplum.search('Patient', {}, { onBehalfOf: 'm-1' });
    expect(app.wire.requests.at(-1)?.path).toBe('/fhir/R4/Patient');
  });

  it('for one asks for one, whatever the query says', async () => {
    await expect(
      app.medplum.searchOne('Patient', { _count: 100, name: 'Homer' }, { onBehalfOf: 'm-1' }),
    ).resolves.toBeUndefined();
    const url = new URL(app.wire.requests.at(-1)?.path ?? '', app.wire.baseUrl);
    expect(url.searchParams.getAll('_count')).toEqual(['1']);
    expect(url.searchParams.get('name')).toBe('Homer');
  });

  it('gives matches apart from what was included', async () => {
    const entry = [
      { resource: { resourceType: 'Patient', id: '1' }, search: { mode: 'match' } },
      { resource: { resourceType: 'Patient', id: '2' } },
      { resource: { resourceType: 'Organization', id: '3' }, search: { mode: 'include' } },
      { resource: { resourceType: 'OperationOutcome', issue: [] }, search: { mode: 'outcome' } },
    ];
    app.wire.handler = () => ({ body: { resourceType: 'Bundle', type: 'searchset', entry } });
    const patients = await app.medplum.searchResources('Patient', {}, { onBehalfOf: 'm-1' });
    expect(patients.map(({ id }) => id)).toEqual(['1', '2']);
    expect(patients.bundle.entry).toHaveLength(4);
    expect(Object.keys(patients)).toEqual(['0', '1']);
  });
});
