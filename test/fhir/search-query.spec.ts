import * as fc from 'fast-check';
import { MedplumBadRequestError } from 'nestjs-medplum';
import { searchQuery } from '../../lib/fhir/search-query';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';

/** Returns the parameters as the server reads them. */
const read = (query: unknown): [string, string][] => [...new URLSearchParams(searchQuery(query))];

/** Returns the alternatives of a value as a server reads them (FHIR R4 section 3.1.1.4.0.1). */
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

  it('leaves out parameters that are undefined', () => {
    expect(read({ name: undefined, active: true })).toEqual([['active', 'true']]);
  });

  it('takes an array as OR, and escapes the commas in its values (FHIR R4 section 3.1.1.4.0.1)', () => {
    expect(read({ status: ['final', 'amended'] })).toEqual([['status', 'final,amended']]);
    expect(read({ name: ['Simpson, Homer', String.raw`a\b`] })).toEqual([['name', String.raw`Simpson\, Homer,a\\b`]]);
    // A token keeps its bar. A single value is sent unchanged, as search syntax.
    expect(read({ identifier: ['urn:a|1', 'urn:b|2'], code: 'a,b' })).toEqual([
      ['identifier', 'urn:a|1,urn:b|2'],
      ['code', 'a,b'],
    ]);
  });

  it('can always be split into the alternatives that the caller passed', () => {
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

  it('repeats a parameter for AND, and keeps the order', () => {
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
    'refuses the parameter name %j in every form, and the error does not quote it',
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
        expect(() => read(query)).toThrow(
          'A name in the search query is not the name of a FHIR search parameter. Names are made of letters, digits and _ . : - signs.',
        );
      }
    },
  );

  it('refuses an empty list and an empty string, which would match everything', () => {
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
    'may not be %p',
    (query) => {
      expect(() => read(query)).toThrow(MedplumBadRequestError);
    },
  );

  it('has the same result in every form', () => {
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

  it('sends its query in encoded form', async () => {
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

  it('for one resource requests one, whatever the query says', async () => {
    await expect(
      app.medplum.searchOne('Patient', { _count: 100, name: 'Homer' }, { onBehalfOf: 'm-1' }),
    ).resolves.toBeUndefined();
    const url = new URL(app.wire.requests.at(-1)?.path ?? '', app.wire.baseUrl);
    expect(url.searchParams.getAll('_count')).toEqual(['1']);
    expect(url.searchParams.get('name')).toBe('Homer');
  });

  it('returns the matches without the included resources', async () => {
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
