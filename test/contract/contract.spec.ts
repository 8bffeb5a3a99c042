import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ContractServer, contractCases, isRealServer, startContractServer } from './contract-server';
import { WireRunner } from './wire-runner';

const cases = contractCases();
const groups = [...new Set(cases.map(({ group }) => group))];

/** The cases in which the emulator is known to differ, each with its reason: `| case | reason |`. */
const differences = readFileSync(join(__dirname, 'known-differences.md'), 'utf8');
const known = new Set([...differences.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, id]) => id));

describe(`recorded cases, replayed against ${isRealServer ? 'a real server' : 'the emulator'}`, () => {
  let server: ContractServer;
  let runner: WireRunner;

  beforeAll(async () => {
    server = await startContractServer();
    runner = new WireRunner(server.seeded, server.baseUrl);
  });

  afterAll(async () => {
    runner?.close();
    await server?.close();
  });

  it('have fewer than 3 % known differences', () => {
    expect(known.size / cases.length).toBeLessThan(0.03);
  });

  describe.each(groups)('%s', (group) => {
    const ofGroup = cases.filter((wireCase) => wireCase.group === group && (isRealServer || !known.has(wireCase.id)));

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
