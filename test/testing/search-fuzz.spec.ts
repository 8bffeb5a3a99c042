import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { MedplumEmulator } from 'nestjs-medplum/testing';
import { core } from '../../lib/testing/medplum-peers';
import { call } from './call';

/** Values that fit some parameter, and values that fit none. */
const VALUES = [
  'Alpha',
  'c0',
  'http://s.example/0|c0',
  '|c0',
  'http://s.example/0|',
  'true',
  '2024-01-10',
  'ge2024-01-10T08:00:00Z',
  'ap2024-01-10',
  '2024-02-31',
  '10',
  'ap10|http://unitsofmeasure.org|mg',
  '3e0',
  'Patient/00000000-0000-4000-8000-000000000001',
  'a,b\\,c',
  '',
  '%',
  '\u0000',
  '((((',
  'not (name eq x)',
  '-1',
  'NaN',
  '2-1-x',
  'Observation:subject:Patient',
  '__proto__',
];

const MODIFIERS = [
  '',
  ':not',
  ':missing',
  ':exact',
  ':contains',
  ':text',
  ':in',
  ':above',
  ':identifier',
  ':frob',
  ':',
];
const CONTROLS = [
  '_id',
  '_count',
  '_offset',
  '_cursor',
  '_sort',
  '_include',
  '_revinclude:iterate',
  '_elements',
  '_summary',
  '_total',
  '_filter',
  '_deleted',
  '_type',
  '_has:Observation:subject:code',
  '_has:x',
  'subject:Patient.name',
  'frobnicate',
  'constructor',
];

interface Search {
  type: string;
  pairs: readonly (readonly [string, string])[];
}

const toPath = ({ type, pairs }: Search): string =>
  `fhir/R4/${type}?${pairs.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&')}`;

describe('random searches', () => {
  const folder = mkdtempSync(join(tmpdir(), 'emulator-'));
  const persist = join(folder, 'state.json');
  let emulator: MedplumEmulator;
  let searches: fc.Arbitrary<Search>;

  beforeAll(async () => {
    emulator = await MedplumEmulator.start({ persist });
    const subject = { reference: '' };
    for (const [index, family] of ['Alpha', 'Beta', 'Gamma-Delta'].entries()) {
      const { id } = await call(emulator, 'POST', 'fhir/R4/Patient', {
        body: {
          resourceType: 'Patient',
          name: [{ family, given: ['A'] }],
          birthDate: `2024-01-1${index}`,
          active: index > 0,
        },
      });
      subject.reference = `Patient/${id}`;
      await call(emulator, 'POST', 'fhir/R4/Observation', {
        body: {
          resourceType: 'Observation',
          status: 'final',
          code: { coding: [{ system: 'http://s.example/0', code: `c${index}`, display: 'Disp' }] },
          subject,
          effectiveDateTime: '2024-01-10T08:00:00Z',
          valueQuantity: { value: 10 + index },
        },
      });
    }
    // Every type of the definitions, each with its own parameters.
    const types = Object.keys(core.globalSchema.types).filter((type) => core.globalSchema.types[type]?.searchParams);
    searches = fc.constantFrom('Patient', 'Observation', ...types).chain((type) => {
      const codes = [...Object.keys(core.getSearchParameters(type) ?? {}), ...CONTROLS];
      const key = fc.tuple(fc.constantFrom(...codes), fc.constantFrom(...MODIFIERS)).map((parts) => parts.join(''));
      const value = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...VALUES) }, fc.string({ maxLength: 12 }));
      return fc.record({
        type: fc.constant(type),
        pairs: fc.array(fc.tuple(key, value), { minLength: 1, maxLength: 3 }),
      });
    });
  });

  afterAll(async () => {
    await emulator.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('are answered with a bundle or an outcome, never with 5xx', async () => {
    await fc.assert(
      fc.asyncProperty(searches, async (search) => {
        const { status, json } = await call(emulator, 'GET', toPath(search));
        expect([200, 400, 403, 404]).toContain(status);
        expect(json.resourceType).toBe(status === 200 ? 'Bundle' : 'OperationOutcome');
      }),
      { numRuns: 1500 },
    );
  }, 60_000);

  it('find the same before and after a restart', async () => {
    const known: Search[] = [
      {
        type: 'Patient',
        pairs: [
          ['name', 'alpha'],
          ['_revinclude', 'Observation:subject'],
        ],
      },
      {
        type: 'Patient',
        pairs: [
          ['_sort', '-birthdate'],
          ['_elements', 'name'],
        ],
      },
      {
        type: 'Observation',
        pairs: [
          ['code:not', 'c0'],
          ['_sort', '_lastUpdated'],
        ],
      },
      {
        type: 'Observation',
        pairs: [
          ['subject:Patient.family', 'gamma'],
          ['_total', 'accurate'],
        ],
      },
    ];
    const sample = [...known, ...fc.sample(searches, 300)];
    const answers = async (): Promise<string[]> => {
      const found: string[] = [];
      for (const search of sample) {
        const { status, text } = await call(emulator, 'GET', toPath(search));
        const tracing = /,"extension":\[\{"url":"[^"]*\/tracing".*$/;
        found.push(`${status} ${text.replace(tracing, '').replaceAll(emulator.baseUrl, 'BASE/')}`);
      }
      return found;
    };
    const before = await answers();
    await emulator.close();
    emulator = await MedplumEmulator.start({ persist });
    expect(await answers()).toEqual(before);
    expect(before.slice(0, known.length).filter((answer) => answer.includes('"mode":"match"'))).toHaveLength(
      known.length,
    );
  }, 60_000);
});
