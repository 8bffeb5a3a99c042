import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MedplumEmulator, type EmulatorFixtures } from 'nestjs-medplum/testing';
import type { Seeded, WireCase } from './wire-case.types';
import { WireRunner } from './wire-runner';

const read = (name: string): string => readFileSync(join(__dirname, name), 'utf8');
const cases = ['wire-cases.json', 'wire-cases-2.json'].flatMap(
  (name) => (JSON.parse(read(name)) as { cases: WireCase[] }).cases,
);
const groups = [...new Set(cases.map(({ group }) => group))];

/** The cases in which the emulator is known to differ, each with its reason: `| case | reason |`. */
const known = new Set([...read('known-differences.md').matchAll(/^\| `([\w-]+)` \|/gm)].map(([, id]) => id));

/** `npm run test:contract -- --seeded FILE [--base URL]` sets them to test a real server instead of the emulator. */
const { CONTRACT_SEEDED: seededFile, CONTRACT_BASE: base } = process.env;

describe(`recorded cases, replayed against ${seededFile ? 'a real server' : 'the emulator'}`, () => {
  let emulator: MedplumEmulator | undefined;
  let runner: WireRunner;

  beforeAll(async () => {
    if (!seededFile) {
      const fixtures = JSON.parse(read('wire-fixtures.json')) as EmulatorFixtures;
      emulator = await MedplumEmulator.start({ fixtures });
    }
    const seeded = emulator?.seeded() ?? (JSON.parse(readFileSync(seededFile ?? '', 'utf8')) as Seeded);
    runner = new WireRunner(seeded, base);
  });

  afterAll(async () => {
    runner?.close();
    await emulator?.close();
  });

  it('have fewer than 3 % known differences', () => {
    expect(known.size / cases.length).toBeLessThan(0.03);
  });

  describe.each(groups)('%s', (group) => {
    const ofGroup = cases.filter((wireCase) => wireCase.group === group && (seededFile || !known.has(wireCase.id)));

    it.each(ofGroup.map((wireCase) => [wireCase.id, wireCase.title, wireCase] as const))(
      '%s %s',
      async (_id, _title, wireCase) => {
        expect(await runner.run(wireCase)).toEqual([]);
      },
      // On a real server, the runner may have to wait for the next minute of the quota.
      90_000,
    );
  });
});
