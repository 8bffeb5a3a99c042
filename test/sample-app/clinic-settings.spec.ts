import { createClinic } from '../../sample-app/clinic.application';
import { ClinicSettingsError, readClinicSettings } from '../../sample-app/config/clinic.settings';

const MEDPLUM = {
  MEDPLUM_BASE_URL: 'https://medplum.example/',
  MEDPLUM_CLIENT_ID: 'client-1',
  MEDPLUM_CLIENT_SECRET: 'very-secret-1',
};
const SESSION_SECRET = 'x'.repeat(32);

function refusal(environment: Readonly<Record<string, string>>): string {
  try {
    readClinicSettings(environment);
  } catch (error) {
    return String(error);
  }
  return 'accepted';
}

describe('the environment of the clinic', () => {
  it('may be empty: the defaults are an embedded Medplum, port 3000 on loopback, and a random session secret', () => {
    const settings = readClinicSettings({});
    expect(settings).toMatchObject({ production: false, port: 3000, host: '127.0.0.1', medplum: undefined });
    expect(settings.sessionSecret).toMatch(/^[0-9a-f]{64}$/);
    expect(readClinicSettings({}).sessionSecret).not.toBe(settings.sessionSecret);
  });

  it('selects a real Medplum if all three variables are set', () => {
    expect(readClinicSettings(MEDPLUM).medplum).toEqual({
      baseUrl: 'https://medplum.example/',
      clientId: 'client-1',
      clientSecret: 'very-secret-1',
    });
  });

  it.each(Object.keys(MEDPLUM))('is refused with the names of the other two if only %s is set', (name) => {
    const others = Object.keys(MEDPLUM).filter((other) => other !== name);
    const text = refusal({ [name]: 'very-secret-value' });
    expect(text).toMatch(/^ClinicSettingsError: /);
    expect(text).toContain(`Missing: ${others.join(', ')}.`);
    expect(text).not.toContain('very-secret-value');
  });

  it.each(Object.keys(MEDPLUM))('is refused if %s is blank', (name) => {
    expect(refusal({ ...MEDPLUM, [name]: '  ' })).toContain(`Missing: ${name}.`);
  });

  it('is refused in production with a list of everything that is missing', () => {
    const text = refusal({ NODE_ENV: 'production' });
    expect(text).toContain(`Missing: ${Object.keys(MEDPLUM).join(', ')}.`);
    expect(text).toContain('SESSION_SECRET is missing');
  });

  it('needs both SESSION_SECRET and a real Medplum in production', () => {
    expect(refusal({ NODE_ENV: 'production', ...MEDPLUM })).toContain('SESSION_SECRET is missing');
    expect(refusal({ NODE_ENV: 'production', SESSION_SECRET })).toContain('MEDPLUM_BASE_URL');
    expect(readClinicSettings({ NODE_ENV: 'production', ...MEDPLUM, SESSION_SECRET })).toMatchObject({
      production: true,
      host: '0.0.0.0',
      sessionSecret: SESSION_SECRET,
    });
  });

  it.each([
    ['SESSION_SECRET', 'short'],
    ['PORT', 'http'],
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '80.5'],
  ])('is refused with the name of the variable if it says %s=%s', (name, value) => {
    expect(refusal({ [name]: value })).toContain(`${name} must`);
  });

  it('may say PORT=0, which picks a free port', () => {
    expect(readClinicSettings({ PORT: '0' }).port).toBe(0);
  });

  it('must not combine a users file with demo logins', () => {
    expect(refusal({ CLINIC_USERS_FILE: 'users.json' })).toContain('CLINIC_USERS_FILE');
  });
});

describe('createClinic()', () => {
  const before = { ...process.env };
  afterEach(() => {
    process.env = { ...before };
  });

  it('refuses to start in production without configuration', async () => {
    process.env.NODE_ENV = 'production';
    await expect(createClinic({ logger: false })).rejects.toThrow(ClinicSettingsError);
  });

  it("refuses to start with only half of a server's credentials", async () => {
    process.env.MEDPLUM_CLIENT_ID = 'client-1';
    await expect(createClinic({ logger: false })).rejects.toThrow('Missing: MEDPLUM_BASE_URL, MEDPLUM_CLIENT_SECRET.');
  });
});
