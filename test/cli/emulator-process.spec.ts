import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmulatorJson, EmulatorProcesses } from '../support/emulator-process';

const NO_PEERS = { NO_PEERS: '1' };

/** Sends a request as the client of the emulator. */
function call(
  { baseUrl, clientId, clientSecret }: EmulatorJson,
  path: string,
  { onBehalfOf, method = 'GET', body }: { onBehalfOf?: string | undefined; method?: string; body?: unknown } = {},
): Promise<Response> {
  return fetch(`${baseUrl}${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
      'content-type': 'application/fhir+json',
      ...(onBehalfOf !== undefined && { 'x-medplum-on-behalf-of': onBehalfOf }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

/** The reference of an organisation of the example. */
async function northside(emulator: EmulatorJson): Promise<string> {
  const found = await call(emulator, 'fhir/R4/Organization?name=Northside');
  const bundle = (await found.json()) as { entry: { resource: { id: string } }[] };
  return `Organization/${bundle.entry[0]?.resource.id}`;
}

describe('the process of nestjs-medplum emulator', () => {
  let folder: string;
  const emulators = new EmulatorProcesses(() => folder);
  const file = (name: string): string => join(folder, name);
  const textOf = (name: string): string => readFileSync(file(name), 'utf8');

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'emulator-'));
  });

  afterEach(async () => {
    await emulators.close();
    rmSync(folder, { recursive: true });
  });

  async function writeExample(): Promise<void> {
    const { out } = await emulators.run(['--example'], NO_PEERS);
    writeFileSync(file('fixtures.json'), out);
  }

  it('prints tables that you can work with, and logs each request without values of records', async () => {
    await writeExample();
    const emulator = emulators.start(['--fixtures', 'fixtures.json']);
    await emulator.prints('PAULA');
    const [, baseUrl = ''] = /^base URL {7}(http:\/\/127\.0\.0\.1:\d+\/)$/m.exec(emulator.out) ?? [];
    const [, clientId = ''] = /^client id {6}([\da-f-]{36})$/m.exec(emulator.out) ?? [];
    const [, clientSecret = ''] = /^client secret {2}([\da-f]{64})$/m.exec(emulator.out) ?? [];
    const [, nora] = /^NORA +(ProjectMembership\/[\da-f-]{36}) +Practitioner\/[\da-f-]{36}$/m.exec(emulator.out) ?? [];
    const printed = { baseUrl, clientId, clientSecret, clients: [], members: [] };

    const found = await call(printed, 'fhir/R4/Patient?name=Paula', { onBehalfOf: nora });
    const bundle = (await found.json()) as { entry: { resource: { id: string } }[] };
    expect(bundle.entry).toHaveLength(1);
    const { id = '' } = bundle.entry[0]?.resource ?? {};
    await call(printed, `fhir/R4/Patient/${id}/_history`, { onBehalfOf: `Patient/${id}` });
    await call(printed, `fhir/R4/Patient/${id}`, { onBehalfOf: 'Patient/aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa' });
    await call(printed, 'fhir/R4/Patient/Mustermann/$everything', { onBehalfOf: 'Mustermann' });
    await call(printed, 'Mustermann/1984-03-12?ssn=123-45-6789');
    await fetch(`${baseUrl}healthcheck`);
    await emulator.prints('/healthcheck');

    const { code, err, out } = await emulator.stop();
    expect(code).toBe(0);
    expect(
      err
        .replaceAll(/\d+ ms/g, 'N ms')
        .trim()
        .split('\n'),
    ).toEqual([
      'GET /fhir/R4/Patient 200 N ms for NORA',
      'GET /fhir/R4/Patient/{id}/_history 200 N ms for PAULA',
      'GET /fhir/R4/Patient/{id} 403 N ms for Patient/{id}',
      'GET /fhir/R4/Patient/{?}/$everything 403 N ms for {?}',
      'GET /{?}/{?} 404 N ms as the client itself',
      'GET /healthcheck 200 N ms without credentials',
    ]);
    expect(out).not.toContain('GET');
  });

  it('prints one line of JSON with --json, and no line per request with --quiet', async () => {
    const emulator = emulators.start(['--json', '--quiet']);
    const started = await emulator.json();
    expect(started.members).toEqual([]);
    expect(started.clients).toEqual([{ name: 'default', id: started.clientId, secret: started.clientSecret }]);
    expect((await call(started, 'fhir/R4/Patient')).status).toBe(200);
    const { out, err, code } = await emulator.stop('SIGTERM');
    expect({ err, code, lines: out.split('\n').length }).toEqual({ err: '', code: 0, lines: 2 });
  });

  it('says how to get members if there are none', async () => {
    const emulator = emulators.start([]);
    await emulator.prints('--fixtures fixtures.json\n');
    expect(emulator.out).toContain('npx nestjs-medplum emulator --example > fixtures.json');
  });

  it('keeps ids and secrets of the fixture file across restarts', async () => {
    await writeExample();
    const runs: Omit<EmulatorJson, 'baseUrl'>[] = [];
    for (let run = 1; run <= 2; run++) {
      const emulator = emulators.start(['--fixtures', 'fixtures.json', '--json', '--quiet']);
      const { baseUrl: _port, members, ...credentials } = await emulator.json();
      runs.push({ ...credentials, members: members.map((member) => ({ ...member, profile: '' })) });
      await emulator.stop();
    }
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[0]?.members.map(({ name }) => name)).toEqual(['NORA', 'PAULA']);
    expect(textOf('fixtures.json')).toContain(runs[0]?.clientSecret);
  });

  it('answers the same before and after a restart with --persist, and leaves the fixtures aside then', async () => {
    await writeExample();
    const args = ['--fixtures', 'fixtures.json', '--persist', 'data.json', '--json', '--quiet'];
    const before = emulators.start(args);
    const first = await before.json();
    const onBehalfOf = first.members[0]?.membership;
    const created = await call(first, 'fhir/R4/Patient', {
      method: 'POST',
      onBehalfOf,
      body: { resourceType: 'Patient', managingOrganization: { reference: await northside(first) } },
    });
    expect(created.status).toBe(201);
    const { id } = (await created.json()) as { id: string };
    const paths = ['fhir/R4/Patient?_sort=_lastUpdated', `fhir/R4/Patient/${id}`, `fhir/R4/Patient/${id}/_history`];
    const answers = async (emulator: EmulatorJson): Promise<string[]> =>
      Promise.all(
        paths.map(async (path) =>
          (await (await call(emulator, path, { onBehalfOf })).text()).replaceAll(emulator.baseUrl, 'BASE/'),
        ),
      );
    const seen = await answers(first);
    expect((await before.stop()).err).toBe('');
    expect(statSync(file('data.json')).mode & 0o777).toBe(0o600);

    const after = emulators.start(args);
    const second = await after.json();
    expect({ ...second, baseUrl: '' }).toEqual({ ...first, baseUrl: '' });
    expect(await answers(second)).toEqual(seen);
    expect((await after.stop()).err).toBe(
      '--fixtures is not used, because data.json exists; delete it to start afresh\n',
    );
  });

  it('writes its variables into an existing .env, keeps the other lines, and lets nobody else read it', async () => {
    writeFileSync(
      file('real.env'),
      ['# clinic', 'PORT=3000', 'export MEDPLUM_CLIENT_ID=old', 'MEDPLUM_CLIENT_SECRET="a"', 'X=1', ''].join('\r\n') +
        'MEDPLUM_CLIENT_SECRET=b\r\n# MEDPLUM_BASE_URL=c',
    );
    chmodSync(file('real.env'), 0o644);
    symlinkSync('real.env', file('.env'));
    const emulator = emulators.start(['--write-env', '.env', '--json', '--quiet']);
    const { baseUrl, clientId, clientSecret } = await emulator.json();
    expect(textOf('real.env').split('\r\n')).toEqual([
      '# clinic',
      'PORT=3000',
      `export MEDPLUM_CLIENT_ID=${clientId}`,
      `MEDPLUM_CLIENT_SECRET=${clientSecret}`,
      'X=1',
      '# MEDPLUM_BASE_URL=c',
      `MEDPLUM_BASE_URL=${baseUrl}`,
      '',
    ]);
    expect(statSync(file('real.env')).mode & 0o777).toBe(0o600);
    expect(lstatSync(file('.env')).isSymbolicLink()).toBe(true);
    expect(readdirSync(folder).toSorted()).toEqual(['.env', 'real.env']);
  });

  it('writes a new .env and the file of --seeded for the owner only', async () => {
    writeFileSync(file('seeded.json'), '{}', { mode: 0o644 });
    const emulator = emulators.start(['--write-env', '.env', '--seeded', 'seeded.json', '--json']);
    const { baseUrl, clientId, clientSecret } = await emulator.json();
    expect(textOf('.env')).toBe(
      `MEDPLUM_BASE_URL=${baseUrl}\nMEDPLUM_CLIENT_ID=${clientId}\nMEDPLUM_CLIENT_SECRET=${clientSecret}\n`,
    );
    expect(textOf('seeded.json')).toContain(clientSecret);
    expect(statSync(file('.env')).mode & 0o777).toBe(0o600);
    expect(statSync(file('seeded.json')).mode & 0o777).toBe(0o600);
  });

  it('prints help and example without its peers, and otherwise says which one is missing', async () => {
    const help = await emulators.run(['--help'], NO_PEERS);
    expect(help).toMatchObject({ code: 0, err: '', out: expect.stringContaining('--write-env <file>') });
    const example = await emulators.run(['--example'], NO_PEERS);
    expect(example).toMatchObject({ code: 0, err: '' });
    expect(Object.keys(JSON.parse(example.out) as object)).toEqual([
      '//',
      'projects',
      'clients',
      'resources',
      'memberships',
    ]);
    const run = await emulators.run([], NO_PEERS);
    expect(run).toMatchObject({ code: 1, out: '', err: expect.stringContaining('npm i -D @medplum/core') });
  });

  it.each([
    [['--port', 'x'], '--port must be a number from 0 to 65535, got "x"'],
    [['--port', '65536'], '--port must be a number from 0 to 65535, got "65536"'],
    [['--port=-1'], '--port must be a number from 0 to 65535, got "-1"'],
    [['--write-env', ''], '--write-env was given an empty name; name a file'],
    [['--persist', ''], '--persist was given an empty name; name a file'],
    [['--server-version', '4'], '--server-version must be 5.0 or 5.2, got "4"'],
    [['--frobnicate'], "Unknown option '--frobnicate'"],
    [['stray'], "Unexpected argument 'stray'"],
    [['--write-env'], "'--write-env <value>' argument missing"],
  ])('ends with 2 when it is called with %j', async (args, message) => {
    const run = await emulators.run(args, NO_PEERS);
    expect(run).toMatchObject({ code: 2, out: '', err: expect.stringContaining(message) });
  });

  it.each([
    ['{', /fixtures\.json is not JSON(?: \(line 1, column 2\))?; correct its syntax\n/],
    ['{\n  "projects": [}\n', /fixtures\.json is not JSON(?: \(line 2, column 16\))?; correct its syntax\n/],
    ['{ // the clinic\n}', /is not JSON(?: \(line 1, column 3\))?, which has no comments; write a member "\/\/"/],
    ['{ planted-secret }', /fixtures\.json is not JSON \(line 1, column 3\)/],
  ])('says where fixtures of %j are not JSON, and shows nothing of them', async (text, message) => {
    writeFileSync(file('fixtures.json'), text);
    const run = await emulators.run(['--fixtures', 'fixtures.json'], NO_PEERS);
    expect(run).toMatchObject({ code: 1, out: '', err: expect.stringMatching(message) });
    expect(run.err).not.toContain('planted');
  });

  it('says which file it cannot read', async () => {
    mkdirSync(file('folder'));
    const missing = await emulators.run(['--fixtures', 'missing.json'], NO_PEERS);
    expect(missing.err).toBe(
      'nestjs-medplum emulator: --fixtures: cannot read the file missing.json (ENOENT); check that it exists and that ' +
        'you may read it\n',
    );
    expect((await emulators.run(['--fixtures', 'folder'], NO_PEERS)).err).toContain('(EISDIR)');
  });

  it('does not start in production', async () => {
    const run = await emulators.run([], { NODE_ENV: 'production' });
    expect(run).toMatchObject({ code: 1, out: '', err: expect.stringContaining('unset NODE_ENV') });
  });

  it('ends with 1 if a file cannot be written, and leaves nothing behind', async () => {
    mkdirSync(file('folder'));
    const advice = 'check that its folder exists and that you may write to it';
    const results = await Promise.all(
      [
        ['--write-env', 'missing/.env'],
        ['--write-env', 'folder'],
        ['--seeded', 'missing/seeded.json'],
        ['--persist', 'missing/data.json'],
        ['--persist', 'folder'],
      ].map((args) => emulators.run([...args, '--json'])),
    );
    expect(
      results.map(({ code, out, err }) => ({ code, out, err: err.replace('nestjs-medplum emulator: ', '') })),
    ).toEqual([
      { code: 1, out: '', err: `--write-env: cannot write the file missing/.env (ENOENT); ${advice}\n` },
      { code: 1, out: '', err: expect.stringMatching(/^--write-env: cannot write the file folder \(EISDIR\); /) },
      { code: 1, out: '', err: `--seeded: cannot write the file missing/seeded.json (ENOENT); ${advice}\n` },
      {
        code: 1,
        out: '',
        err: expect.stringMatching(/^The emulator cannot write its state to missing\/data\.json \(ENOENT\)\. /),
      },
      { code: 1, out: '', err: expect.stringMatching(/^The emulator cannot read its state from folder \(EISDIR\)\. /) },
    ]);
    expect(readdirSync(folder)).toEqual(['folder']);
  }, 60_000);

  it('ends with 1 if its port is in use or its fixtures are malformed', async () => {
    writeFileSync(file('fixtures.json'), '{"projects":[],"clients":[{"name":"A","acessPolicy":"X"}]}');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const busy = await emulators.run(['--port', String(port)]);
      expect(busy).toMatchObject({
        code: 1,
        out: '',
        err: expect.stringContaining(`Port ${port} on 127.0.0.1 is in use`),
      });
    } finally {
      server.close();
    }
    const malformed = await emulators.run(['--fixtures', 'fixtures.json']);
    expect(malformed).toMatchObject({ code: 1, out: '' });
    expect(malformed.err).toContain('- clients[0].acessPolicy: there is no such member; use name, id, secret, project');
    expect(malformed.err).toContain('- clients[0].project: must be the name of an earlier fixture, got nothing');
  });
});
