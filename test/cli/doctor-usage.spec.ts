import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MedplumEmulator } from 'nestjs-medplum/testing';
import { WrongUsage } from '../../lib/cli/cli-command';
import { environmentOf, runDoctor } from '../support/doctor';
import { WireServer } from '../support/wire-server';

const SECRET = 'planted-Secret+0123456789/abcdef=';
const ENCODED = [SECRET, encodeURIComponent(SECRET), Buffer.from(SECRET).toString('base64').replace(/=+$/, '')];

/** What the run says, whether it ends with a report or with an error. */
async function saidBy(args: readonly string[], environment: Readonly<Record<string, string>>): Promise<string> {
  return runDoctor(args, environment).then(
    (run) => run.text,
    (error: unknown) => String(error instanceof WrongUsage ? error.message : error),
  );
}

describe('nestjs-medplum doctor', () => {
  let folder: string;
  let here: jest.SpyInstance;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'doctor-'));
    here = jest.spyOn(process, 'cwd').mockReturnValue(folder);
  });

  afterEach(() => {
    here?.mockRestore();
    rmSync(folder, { recursive: true });
  });

  it('documents its flags and exit codes', async () => {
    const { text, exitCode } = await runDoctor(['--help']);
    expect(exitCode).toBeUndefined();
    expect(text).toContain(
      'Exit codes: 0 healthy (there may be warnings), 1 something is broken or not safe, 2 wrong usage.',
    );
    expect(text).toContain('--client-secret-file <file|->');
  });

  it.each([
    [['--frobnicate'], 'an argument that doctor does not know'],
    [['stray'], 'an argument that doctor does not know'],
    [['--base-url'], 'an option without its value'],
    [['--client-secret', SECRET], 'does not belong on the command line'],
    [[`--client-secret=${SECRET}`], 'does not belong on the command line'],
    [['--membership', 'a', '--on-behalf-of', 'Patient/a'], 'pass one of them'],
    [['--membership', 'Practitioner/1'], 'pass a profile with --on-behalf-of'],
    [['--membership', `a,${SECRET.replace('/', '')}`], 'not one well-formed reference'],
    [['--on-behalf-of', ''], 'is empty'],
    [['--skip-server', '--membership', 'a'], 'leave out --skip-server'],
    [['--skip-server'], 'there is nothing to check'],
    [['--timeout', '0'], '--timeout must be'],
    [['--timeout', SECRET], '--timeout must be'],
    [['--client-secret-file', SECRET], 'the file cannot be read'],
    [['--env-file', SECRET], 'the file cannot be read'],
    [['--app', SECRET], 'no readable package.json'],
  ])('refuses %j without repeating a value', async (args, message) => {
    const run = runDoctor(args);
    await expect(run).rejects.toThrow(WrongUsage);
    await expect(run).rejects.toThrow(message);
    await expect(run).rejects.not.toThrow(SECRET);
  });

  it('says which settings are missing or odd, before anything is sent', async () => {
    const none = await runDoctor(['--json', '--base-url', 'https://medplum.invalid/']);
    expect(none.of('settings')).toMatchObject([
      { level: 'error', what: 'MEDPLUM_CLIENT_ID is not set.', fix: expect.stringContaining('--env-file') },
      { level: 'error', what: 'MEDPLUM_CLIENT_SECRET is not set.' },
    ]);
    const odd = await runDoctor(['--json', '--base-url', 'not a URL', '--client-id', 'ClientApplication/1'], {
      MEDPLUM_CLIENT_SECRET: `"${SECRET}"`,
    });
    expect(odd.of('settings').map(({ what }) => what)).toEqual([
      expect.stringContaining('must be an absolute URL'),
      'The client id is written as a reference.',
      'The value of MEDPLUM_CLIENT_SECRET begins or ends with a blank or a quote.',
    ]);
    expect(odd.of('dns')).toMatchObject([{ level: 'skipped', what: 'because the base URL cannot be used' }]);
    const colon = await runDoctor(['--json', '--base-url', 'https://medplum.invalid/?a=b', '--client-id', 'a:b']);
    expect(colon.of('settings').map(({ what }) => what)).toEqual([
      expect.stringContaining('must not carry a query'),
      'The client id contains a colon or a blank.',
      'MEDPLUM_CLIENT_SECRET is not set.',
    ]);
  });

  it('shows no part of a base URL with an @, and sends nothing there', async () => {
    // A password with a slash reads as a path, and this one is too short to be recognised as a secret.
    const run = await runDoctor(['--json', '--base-url', 'http://user:12/pw@127.0.0.1/', '--client-id', 'client']);
    expect(run.of('settings')[0]).toMatchObject({ level: 'error', what: expect.stringContaining('contains an @') });
    expect(run.of('base-url')).toMatchObject([{ level: 'skipped' }]);
    expect(run.text).not.toContain('pw@');
    expect(run.text).not.toContain('user:12');
  });

  it('says that certificates are not checked', async () => {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      const run = await runDoctor(['--json', '--base-url', 'not a URL']);
      expect(run.of('settings')).toContainEqual(
        expect.objectContaining({ level: 'error', what: expect.stringContaining('NODE_TLS_REJECT_UNAUTHORIZED') }),
      );
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    }
  });

  it('prints no secret, wherever it is', async () => {
    const server = await WireServer.start();
    // A server that repeats what it gets, in every place that doctor reads.
    server.handler = ({ headers, body }) => {
      const echo = `${headers.authorization} ${body} ${SECRET}`;
      const issue = [{ severity: 'error', code: 'login', details: { text: echo }, diagnostics: echo }];
      return {
        status: 401,
        headers: { ratelimit: `"${SECRET}";r=0;t=1`, 'x-request-id': 'r', location: `/${encodeURIComponent(SECRET)}` },
        body: { resourceType: 'OperationOutcome', ok: true, version: SECRET, error_description: echo, issue },
      };
    };
    const file = join(folder, 'secret');
    writeFileSync(file, `${SECRET}\n`);
    const env = join(folder, 'env');
    writeFileSync(env, `MEDPLUM_CLIENT_ID=client\nMEDPLUM_CLIENT_SECRET='${SECRET}'\n`);
    const given = { MEDPLUM_BASE_URL: server.baseUrl, MEDPLUM_CLIENT_ID: 'client', MEDPLUM_CLIENT_SECRET: SECRET };
    const { baseUrl } = server;
    const withUser = (text: string): string => baseUrl.replace('//', `//${text}@`);
    try {
      const runs: (readonly [string[], Record<string, string>])[] = [
        [[], given],
        [['--client-secret-file', file], { MEDPLUM_BASE_URL: baseUrl, MEDPLUM_CLIENT_ID: 'client' }],
        [['--env-file', env], { MEDPLUM_BASE_URL: baseUrl }],
        [['--client-id', SECRET], given],
        [['--base-url', withUser(`user:${SECRET}`)], given],
        [['--base-url', withUser(`user:${encodeURIComponent(SECRET)}`)], given],
        [['--base-url', `${baseUrl}?client_secret=${SECRET}`], given],
        [['--base-url', `${baseUrl}${SECRET}/`], given],
        [['--base-url', `${baseUrl}${encodeURIComponent(SECRET)}/fhir/R4`], given],
        [
          ['--base-url', `https://${SECRET.replaceAll(/[^\w-]/g, '')}.invalid/`],
          {
            ...given,
            MEDPLUM_CLIENT_SECRET: SECRET.replaceAll(/[^\w-]/g, ''),
          },
        ],
        [['--base-url', SECRET], given],
        [['--on-behalf-of', SECRET], given],
        [['--membership', SECRET], given],
        [['--app', SECRET], given],
        [['--client-secret', SECRET], given],
        [['--unknown', SECRET], given],
        [[SECRET], given],
        [[`--${SECRET}`], given],
      ];
      for (const [args, environment] of runs) {
        for (const form of [[], ['--json']]) {
          const said = await saidBy(['--timeout', '3000', ...form, ...args], environment);
          expect(said).not.toBe('');
          for (const encoded of [...ENCODED, 'planted-Secret', 'planted-secret']) {
            expect(said).not.toContain(encoded);
          }
        }
      }
    } finally {
      await server.close();
    }
    const refused = await saidBy([], { ...given, MEDPLUM_BASE_URL: baseUrl });
    expect(refused).toContain('ECONNREFUSED');
    expect(refused).not.toContain('planted');
  });

  it('reads the secret from a file and from an env file, whose variables do not replace those that are set', async () => {
    const emulator = await MedplumEmulator.start();
    try {
      const { clientId, clientSecret, baseUrl } = emulator.options();
      writeFileSync(join(folder, 'secret'), `${clientSecret}\n`);
      writeFileSync(
        join(folder, '.env'),
        `MEDPLUM_BASE_URL=${baseUrl}\nMEDPLUM_CLIENT_ID=${clientId}\nMEDPLUM_CLIENT_SECRET=${clientSecret}\n`,
      );
      const fromFile = ['--json', '--client-secret-file', join(folder, 'secret')];
      const known = { MEDPLUM_BASE_URL: baseUrl, MEDPLUM_CLIENT_ID: clientId };
      expect((await runDoctor(fromFile, known)).json.healthy).toBe(true);
      const fromEnv = ['--json', '--env-file', join(folder, '.env')];
      expect((await runDoctor(fromEnv)).json.healthy).toBe(true);
      expect((await runDoctor(fromEnv, { MEDPLUM_CLIENT_SECRET: 'another' })).json.healthy).toBe(false);
    } finally {
      await emulator.close();
    }
  });
});

/** Runs the bin as a process of its own, where no peer can be loaded. */
function runBin(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  input = '',
): Promise<{ code: number; stdout: string; stderr: string }> {
  const support = join(__dirname, '../support');
  const program = [join(support, 'run-typescript.cjs'), join(support, 'doctor-program.ts'), ...args];
  const { MEDPLUM_BASE_URL: _base, MEDPLUM_CLIENT_ID: _id, MEDPLUM_CLIENT_SECRET: _secret, ...clean } = process.env;
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      program,
      { cwd: tmpdir(), env: { ...clean, ...environment } },
      (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
      },
    );
    child.stdin?.end(input);
  });
}

describe('the bin, without any peer of the library', () => {
  it('exits with 0 for its help, 2 for wrong usage, and 1 for findings; and reads the secret from a pipe', async () => {
    const emulator = await MedplumEmulator.start();
    try {
      const options = emulator.options();
      const { MEDPLUM_CLIENT_SECRET: secret, ...environment } = environmentOf(options);
      const [help, wrong, healthy, broken] = await Promise.all([
        runBin(['doctor', '--help'], {}),
        runBin(['doctor', '--client-secret', secret], environment),
        runBin(['doctor', '--json', '--client-secret-file', '-'], environment, `${secret}\n`),
        runBin(['doctor', '--client-secret-file', '-'], environment, 'another-secret\n'),
      ]);
      expect(help).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('Exit codes') });
      expect(wrong).toMatchObject({
        code: 2,
        stdout: '',
        stderr: expect.stringMatching(/^nestjs-medplum doctor: a secret/),
      });
      expect(healthy).toMatchObject({ code: 0, stderr: '' });
      expect(JSON.parse(healthy.stdout)).toMatchObject({ healthy: true });
      expect(broken).toMatchObject({ code: 1, stderr: '', stdout: expect.stringContaining('not healthy: 1 error') });
      expect(`${wrong.stderr}${healthy.stdout}${broken.stdout}`).not.toContain(secret);
    } finally {
      await emulator.close();
    }
  });
});
