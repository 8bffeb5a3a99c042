import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MedplumEmulator } from 'nestjs-medplum/testing';
import { hashPassword } from '../../sample-app/auth/password.hash';
import { ClinicBackend } from '../../sample-app/backend/clinic.backend';
import { readUsersFile } from '../../sample-app/backend/users.file';
import { OpenClinic } from './support/open-clinic';

describe('the clinic on an existing Medplum server', () => {
  const opened: { close(): Promise<void> }[] = [];
  let directory: string;
  let usersFile: string;
  let environment: Readonly<Record<string, string>>;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'clinic-'));
    usersFile = join(directory, 'users.json');
    const medplum = await MedplumEmulator.start();
    opened.push(medplum);
    const member = await medplum.createMember({
      profile: { resourceType: 'Practitioner', name: [{ family: 'Lind' }] },
      policy: [{ resourceType: 'Patient', criteria: 'Patient?gender=female' }],
    });
    await medplum.createResource({ resourceType: 'Patient', gender: 'female', name: [{ family: 'Weber' }] });
    await medplum.createResource({ resourceType: 'Patient', gender: 'male', name: [{ family: 'Berger' }] });
    const { membership } = member;
    await writeFile(
      usersFile,
      JSON.stringify([{ name: 'nora', passwordHash: await hashPassword('letters'), membership }]),
    );
    const { baseUrl, clientId, clientSecret } = medplum.options();
    environment = {
      NODE_ENV: 'production',
      SESSION_SECRET: 'x'.repeat(32),
      MEDPLUM_BASE_URL: baseUrl,
      MEDPLUM_CLIENT_ID: clientId,
      MEDPLUM_CLIENT_SECRET: clientSecret,
    };
  });
  afterAll(async () => {
    await Promise.all(opened.map((server) => server.close()));
    await rm(directory, { recursive: true, force: true });
  });

  async function open(more: Readonly<Record<string, string>> = {}): Promise<OpenClinic> {
    const clinic = await OpenClinic.open({ ...environment, ...more });
    opened.push(clinic);
    return clinic;
  }

  it('has no demo logins, and without a users file no logins at all', async () => {
    const clinic = await open();
    expect(clinic.app.get(ClinicBackend)).toMatchObject({ demoLogins: [], accounts: [] });
    for (const name of ['nora', 'hugo', 'paula']) {
      expect((await clinic.browser().login(name, '')).status).toBe(400);
      expect((await clinic.browser().login(name, name)).status).toBe(401);
    }
  });

  it('takes logins from CLINIC_USERS_FILE, and sets its cookie only over TLS', async () => {
    const clinic = await open({ CLINIC_USERS_FILE: usersFile });
    const browser = clinic.browser();
    const login = { name: 'nora', password: 'letters' };
    const behindTls = { 'x-forwarded-proto': 'https' };
    expect((await browser.send('POST', '/auth/login', { ...login, password: 'wrong' }, behindTls)).status).toBe(401);

    const plain = await browser.send('POST', '/auth/login', login);
    expect(plain.headers.getSetCookie()).toEqual([]);

    const { status, headers } = await browser.send('POST', '/auth/login', login, behindTls);
    expect(status).toBe(200);
    expect(headers.getSetCookie()).toHaveLength(2);
    headers.getSetCookie().forEach((cookie) => expect(cookie).toMatch(/; secure/i));

    const { body } = await browser.get<{ name: { family: string }[] }[]>('/patients', behindTls);
    expect(body.map(({ name }) => name[0]?.family)).toEqual(['Weber']);
  });

  it.each([
    ['broken JSON', '{', 'is not a readable JSON file'],
    ['an object', '{}', 'must contain a JSON list'],
    ['empty users', '[{}]', 'User 1: name is missing.'],
    [
      'a plain password',
      '[{"name":"a","passwordHash":"secret-word","membership":"ProjectMembership/1"}]',
      'hash-password',
    ],
    ['a profile instead of a membership', '[{"membership":"Practitioner/1"}]', 'ProjectMembership/<id>'],
    ['nothing but null', '[null]', 'User 1'],
  ])('refuses a users file with %s', async (_case, content, text) => {
    const path = join(directory, 'broken.json');
    await writeFile(path, content);
    const failure = (await readUsersFile(path).catch((error: unknown) => error)) as Error;
    expect(failure.message).toContain(text);
    expect(failure.message).not.toContain('secret-word');
  });

  it('refuses a users file that does not exist, and one that has the same name twice', async () => {
    await expect(readUsersFile(join(directory, 'absent.json'))).rejects.toThrow('is not a readable JSON file');
    const user = { name: 'nora', passwordHash: await hashPassword('x'), membership: 'ProjectMembership/1' };
    const path = join(directory, 'twice.json');
    await writeFile(path, JSON.stringify([user, user]));
    await expect(readUsersFile(path)).rejects.toThrow('Two users have the same name.');
  });
});
