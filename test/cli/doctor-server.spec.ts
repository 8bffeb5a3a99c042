import { MedplumEmulator } from 'nestjs-medplum/testing';
import { type DoctorRun, environmentOf, runDoctor } from '../support/doctor';

/** A folder that is no app. */
const NOWHERE = __dirname;

/** Nothing needs more at a server on loopback. */
const JSON_REPORT = ['--json', '--timeout', '5000'];

const levels = (run: DoctorRun): Record<string, string> =>
  Object.fromEntries(run.json.findings.map(({ check, level }) => [check, level]));

describe('nestjs-medplum doctor on the embedded Medplum', () => {
  let emulator: MedplumEmulator;
  let folder: jest.SpyInstance;

  beforeAll(async () => {
    folder = jest.spyOn(process, 'cwd').mockReturnValue(NOWHERE);
    emulator = await MedplumEmulator.start();
  });

  afterAll(async () => {
    folder?.mockRestore();
    await emulator?.close();
  });

  const doctor = (args: readonly string[] = [], more: Partial<ReturnType<typeof environmentOf>> = {}) =>
    runDoctor([...JSON_REPORT, ...args], { ...environmentOf(emulator.options()), ...more });

  const createMember = (more: Partial<Parameters<MedplumEmulator['createMember']>[0]> = {}) =>
    emulator.createMember({
      profile: { resourceType: 'Practitioner', name: [{ family: 'Doctor' }] },
      policy: [{ resourceType: 'Patient' }],
      ...more,
    });

  it('finds a server, a client and an identity healthy, and says what the identity may do', async () => {
    const member = await createMember({
      policy: [
        { resourceType: 'Patient', criteria: 'Patient?gender=female' },
        { resourceType: 'Observation', interaction: ['read', 'create'] },
        { resourceType: 'Organization', readonly: true },
      ],
    });
    for (const args of [
      ['--membership', member.membership],
      ['--membership', member.membership.split('/')[1] ?? ''],
      ['--on-behalf-of', member.profile],
    ]) {
      const run = await doctor(args);
      expect(run.exitCode).toBe(0);
      expect(levels(run)).toEqual({
        settings: 'ok',
        dns: 'ok',
        tls: 'skipped',
        'base-url': 'ok',
        version: 'ok',
        clock: 'ok',
        credentials: 'ok',
        admin: 'ok',
        quota: 'ok',
        identity: 'ok',
        access: 'ok',
      });
      expect(run.json).toMatchObject({ format: 'nestjs-medplum-doctor/1', healthy: true, errors: 0, warnings: 0 });
      const rows = Object.fromEntries(run.json.access?.map(({ resourceType, may }) => [resourceType, may]) ?? []);
      expect(rows.Patient).toMatchObject({ read: 'some', search: 'some', create: 'some', delete: 'some' });
      expect(rows.Observation).toMatchObject({ read: 'all', search: 'none', create: 'all', update: 'none' });
      expect(rows.Organization).toMatchObject({ read: 'all', vread: 'all', history: 'all', create: 'none' });
      expect(rows['*']).toBeUndefined();
    }
  });

  it('changes nothing on the server', async () => {
    const member = await createMember();
    emulator.clearRequests();
    await doctor(['--membership', member.membership]);
    expect(new Set(emulator.requests.map(({ method }) => method))).toEqual(new Set(['GET']));
  });

  it('prints a table for a person, without colours when nobody sees them', async () => {
    const member = await createMember();
    const run = await runDoctor(['--membership', member.membership], environmentOf(emulator.options()));
    expect(run.text).toMatch(/^ {2}ok {7}base-url {5}Medplum responds at http:\/\/127/m);
    expect(run.text).toMatch(/^ {2}skipped {2}tls {10}because the base URL is http/m);
    expect(run.text).toMatch(/^ {24}type +read +vread +history +search +create +update +delete$/m);
    expect(run.text).toMatch(/^ {24}Patient +all +all +all +all +all +all +all$/m);
    expect(run.text).toMatch(/\nhealthy: 0 errors, 0 warnings\n$/);
    expect(run.text).not.toContain('\u001B');
  });

  it.each(['5.0', '5.2'] as const)(
    'names the behaviour of %s, and understands how it refuses an identity',
    async (serverVersion) => {
      const other = await MedplumEmulator.start({ serverVersion });
      try {
        const member = await other.createMember({
          profile: { resourceType: 'Practitioner' },
          access: [{ policy: { reference: 'AccessPolicy/00000000-0000-4000-8000-000000000000' } }],
        });
        const run = await runDoctor(
          [...JSON_REPORT, '--membership', member.membership],
          environmentOf(other.options()),
        );
        expect(run.of('access')).toMatchObject([
          { level: 'error', what: expect.stringContaining('policy of the membership is gone') },
        ]);
        expect(run.of('version')).toEqual([
          { check: 'version', level: 'ok', what: expect.stringContaining(`It behaves like ${serverVersion}:`) },
        ]);
      } finally {
        await other.close();
      }
    },
  );

  it.each(['fhir/R4', 'fhir/R4/', 'fhir/', 'oauth2/token', 'api/fhir/R4', 'fhir/R4/Patient/1', 'some/path'])(
    'finds the base URL behind %s, and goes on with it',
    async (suffix) => {
      const run = await doctor([], { MEDPLUM_BASE_URL: emulator.baseUrl + suffix });
      expect(run.exitCode).toBe(1);
      expect(run.of('base-url')).toMatchObject([
        { level: 'error', fix: `Set MEDPLUM_BASE_URL to ${emulator.baseUrl}` },
      ]);
      expect(levels(run)).toMatchObject({ credentials: 'ok', admin: 'ok' });
    },
  );

  it('finds the server behind https:// as well, but sends it no credentials', async () => {
    emulator.clearRequests();
    const run = await doctor(['--base-url', emulator.baseUrl.replace('http:', 'https:')]);
    expect(run.of('tls')).toMatchObject([{ level: 'error', what: expect.stringContaining('does not speak TLS') }]);
    expect(run.of('base-url')).toMatchObject([{ level: 'error', fix: `Set --base-url to ${emulator.baseUrl}` }]);
    expect(levels(run)).toMatchObject({ credentials: 'skipped', admin: 'skipped', quota: 'skipped' });
    expect(emulator.requests.map(({ auth }) => auth)).toEqual(['none']);
  });

  it('tells a wrong secret from an unknown client', async () => {
    const wrong = await doctor([], { MEDPLUM_CLIENT_SECRET: 'another-secret' });
    expect(wrong.exitCode).toBe(1);
    expect(wrong.of('credentials')).toMatchObject([
      { level: 'error', what: expect.stringContaining('the secret is wrong'), fix: expect.stringContaining('_SECRET') },
    ]);
    expect(levels(wrong)).toMatchObject({ admin: 'skipped', quota: 'skipped' });
    const unknown = await doctor(['--client-id', '00000000-0000-4000-8000-000000000000']);
    expect(unknown.of('credentials')).toMatchObject([
      {
        level: 'error',
        what: expect.stringContaining('does not know the client'),
        fix: expect.stringContaining('--client-id'),
      },
    ]);
  });

  it('tells that the client is no project admin, and does not look up memberships then', async () => {
    const member = await createMember();
    const client = await emulator.createClient({ name: 'plain', admin: false });
    const options = { MEDPLUM_CLIENT_ID: client.id, MEDPLUM_CLIENT_SECRET: client.secret };
    const run = await doctor(['--membership', member.membership], options);
    expect(run.exitCode).toBe(1);
    expect(run.of('admin')).toMatchObject([{ level: 'error', fix: expect.stringContaining('admin: true') }]);
    expect(levels(run)).toMatchObject({ credentials: 'ok', quota: 'ok', identity: 'skipped', access: 'skipped' });
    expect(run.of('access')[0]?.what).toBe('because the client is not a project admin');
  });

  it('warns of a client with a policy of its own, and names the profile that it cannot read', async () => {
    const member = await createMember();
    const client = await emulator.createClient({ name: 'limited', admin: true, policy: [{ resourceType: 'Patient' }] });
    const options = { MEDPLUM_CLIENT_ID: client.id, MEDPLUM_CLIENT_SECRET: client.secret };
    const run = await doctor(['--membership', member.membership], options);
    expect(run.of('admin')).toMatchObject([{ level: 'ok' }, { level: 'warning' }]);
    expect(run.of('access')).toMatchObject([
      { level: 'error', what: expect.stringContaining('cannot read the profile') },
    ]);
  });

  it.each([
    [
      'an inactive membership',
      { active: false, policy: [{ resourceType: 'Patient' }] },
      'error',
      'The membership is inactive.',
    ],
    ['a membership without a policy', {}, 'error', 'The membership has no access policy.'],
    [
      'a project admin',
      { admin: true, policy: [{ resourceType: 'Patient' }] },
      'warning',
      'The membership is a project admin.',
    ],
  ] as const)('names %s', async (_name, more, level, what) => {
    const member = await emulator.createMember({ profile: { resourceType: 'Practitioner' }, ...more });
    const run = await doctor(['--membership', member.membership]);
    expect(run.of('identity')).toContainEqual(expect.objectContaining({ level, what, fix: expect.any(String) }));
    expect(run.exitCode).toBe(level === 'error' ? 1 : 0);
  });

  it('shows that a membership without a policy may do everything', async () => {
    const member = await emulator.createMember({ profile: { resourceType: 'Practitioner' } });
    const run = await doctor(['--membership', member.membership]);
    expect(run.json.access?.at(-1)).toMatchObject({ resourceType: '*', may: { read: 'all', delete: 'all' } });
  });

  it('names identities that mean nobody', async () => {
    const membership = await doctor(['--membership', '00000000-0000-4000-8000-000000000000']);
    expect(membership.of('identity')).toMatchObject([{ level: 'error', what: expect.stringContaining('no such') }]);
    expect(levels(membership).access).toBe('skipped');
    const patient = await emulator.createResource({ resourceType: 'Patient' });
    const profile = await doctor(['--on-behalf-of', `Patient/${patient.id}`]);
    expect(profile.of('identity')).toMatchObject([{ level: 'error', what: expect.stringContaining('no membership') }]);
  });

  it.each([
    [true, 'error', '2 of them active'],
    [false, 'warning', '1 of them active'],
  ])('names a profile with several memberships (the second one active: %s)', async (active, level, what) => {
    const { profile } = await createMember();
    await createMember({ profile, active });
    const run = await doctor(['--on-behalf-of', profile]);
    expect(run.of('identity')).toMatchObject([{ level, what: expect.stringContaining(what) }]);
    expect(levels(run).access).toBe('skipped');
  });

  it('names the membership of the client itself', async () => {
    const { membership } = await emulator.createClient({ name: 'self', admin: true });
    const { clientId, clientSecret } = emulator.options('self');
    const options = { MEDPLUM_CLIENT_ID: clientId, MEDPLUM_CLIENT_SECRET: clientSecret };
    const run = await doctor(['--membership', membership], options);
    expect(run.of('identity')).toContainEqual(
      expect.objectContaining({ level: 'error', what: expect.stringContaining('the client itself') }),
    );
  });

  it('warns when little of the quota is left, and says when it is used up', async () => {
    const member = await createMember();
    emulator.setRateLimits({ fhirPoints: 50 });
    try {
      const low = await doctor();
      expect(low.of('quota')).toMatchObject([{ level: 'warning', what: expect.stringContaining('49 points') }]);
      expect(low.exitCode).toBe(0);
      emulator.setRateLimits({ fhirPoints: 1 });
      const gone = await doctor(['--membership', member.membership]);
      expect(gone.of('quota')).toMatchObject([{ level: 'error', fix: expect.stringMatching(/^Wait \d+ seconds/) }]);
      expect(gone.of('identity')).toMatchObject([{ level: 'error', what: expect.stringContaining('(429)') }]);
      expect(gone.exitCode).toBe(1);
    } finally {
      emulator.setRateLimits({});
    }
  });
});
