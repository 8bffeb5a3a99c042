import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { emulatorCommand } from '../../lib/cli/emulator.command';

describe('nestjs-medplum emulator', () => {
  let folder: string;
  let printed: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'emulator-'));
    printed = '';
    jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      printed += String(text);
      return true;
    });
  });

  afterEach(() => {
    jest.restoreAllMocks();
    rmSync(folder, { recursive: true });
  });

  it('writes the seeded ids and secrets, prints the base URL, and stops on SIGTERM', async () => {
    const seeded = join(folder, 'seeded.json');
    const fixtures = join(__dirname, '../contract/wire-fixtures.json');
    const options = ['--json', '--quiet', '--server-version', '5.2'];
    await emulatorCommand.run(['--fixtures', fixtures, '--seeded', seeded, ...options]);
    const { baseUrl } = JSON.parse(printed) as { baseUrl: string };
    const file = JSON.parse(readFileSync(seeded, 'utf8')) as {
      format: string;
      baseUrl: string;
      vars: Record<string, string>;
    };
    expect(file).toMatchObject({
      format: 'medplum-wire-seeded/1',
      baseUrl,
      vars: { C: expect.stringMatching(/^Client/) },
    });
    expect(statSync(seeded).mode & 0o077).toBe(0);
    const login = Buffer.from(`${file.vars.C?.split('/')[1]}:${file.vars['C.secret']}`).toString('base64');
    const response = await fetch(`${baseUrl}fhir/R4/${file.vars.PAT1A}`, {
      headers: { authorization: `Basic ${login}` },
    });
    expect(response.status).toBe(200);

    process.emit('SIGTERM');
    let isUp = true;
    while (isUp) {
      isUp = await fetch(`${baseUrl}healthcheck`).then(
        () => wait(5, true),
        () => false,
      );
    }
  });

  it('goes on from the file of --persist, with the same ids and secrets', async () => {
    const persist = join(folder, 'state.json');
    const seeded = join(folder, 'seeded.json');
    const fixtures = join(__dirname, '../contract/wire-fixtures.json');
    const vars: unknown[] = [];
    for (let run = 1; run <= 2; run++) {
      printed = '';
      await emulatorCommand.run([
        '--fixtures',
        fixtures,
        '--seeded',
        seeded,
        '--persist',
        persist,
        '--json',
        '--quiet',
      ]);
      const { baseUrl } = JSON.parse(printed) as { baseUrl: string };
      vars.push((JSON.parse(readFileSync(seeded, 'utf8')) as { vars: unknown }).vars);
      process.emit('SIGTERM');
      while (
        await fetch(`${baseUrl}healthcheck`).then(
          () => wait(5, true),
          () => false,
        )
      ) {
        // The emulator is still closing.
      }
    }
    expect(vars[1]).toEqual(vars[0]);
  });

  it('prints its usage with --help', async () => {
    await emulatorCommand.run(['--help']);
    expect(printed).toContain('--fixtures <file>');
  });

  it.each([
    [['--port', 'x'], '--port must be a number from 0 to 65535, got "x"'],
    [['--server-version', '4'], '--server-version must be 5.0 or 5.2, got "4"'],
    [['--fixtures', '/nowhere/fixtures.json'], '--fixtures: cannot read the file /nowhere/fixtures.json'],
    [['--frobnicate'], "Unknown option '--frobnicate'"],
  ])('refuses %j', async (args, message) => {
    await expect(emulatorCommand.run(args)).rejects.toThrow(message);
  });

  it('refuses fixtures that are not JSON', async () => {
    const file = join(folder, 'fixtures.json');
    writeFileSync(file, '{');
    await expect(emulatorCommand.run(['--fixtures', file])).rejects.toThrow('is not JSON');
  });
});
