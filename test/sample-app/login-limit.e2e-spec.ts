import { AuthService } from '../../sample-app/auth/auth.service';
import { ClinicBackend } from '../../sample-app/backend/clinic.backend';
import type { ClinicResponse } from '../../sample-app/tour/clinic-browser';
import { AccountsOnlyBackend } from './support/accounts-only.backend';
import { OpenClinic } from './support/open-clinic';

const PASSWORD = 'letters';
const BY_NAME = 5;
const BY_ADDRESS = 30;
const WINDOW_SECONDS = 15 * 60;

const PRODUCTION = {
  NODE_ENV: 'production',
  SESSION_SECRET: 'x'.repeat(32),
  MEDPLUM_BASE_URL: 'http://127.0.0.1:9/',
  MEDPLUM_CLIENT_ID: 'client-1',
  MEDPLUM_CLIENT_SECRET: 'secret-1',
};

type Headers = Readonly<Record<string, string>>;

/** Sends the attempts one after the other, and returns how each of them ended. */
async function statuses(
  count: number,
  attempt: (index: number) => Promise<ClinicResponse>,
): Promise<readonly number[]> {
  const seen: number[] = [];
  for (let index = 0; index < count; index += 1) {
    seen.push((await attempt(index)).status);
  }
  return seen;
}

function repeated(count: number, status: number): number[] {
  return Array.from({ length: count }, () => status);
}

/** What the proxy in front sends. It appends the address that it saw; what stands before that comes from the browser. */
function via(address: string, claimed?: string): Headers {
  const forwarded = claimed === undefined ? address : `${claimed}, ${address}`;
  return { 'x-forwarded-proto': 'https', 'x-forwarded-for': forwarded };
}

describe('the limit on login attempts', () => {
  let backend: AccountsOnlyBackend;
  let clinic: OpenClinic | undefined;
  let verify: jest.SpyInstance;

  beforeAll(async () => {
    backend = await AccountsOnlyBackend.make(['nora', 'hugo'], PASSWORD);
  });
  afterEach(async () => {
    await clinic?.close();
    clinic = undefined;
  });

  /**
   * Each test gets a clinic of its own, in which nobody has tried to log in yet. Most of them make more attempts than
   * scrypt is fast enough for.
   */
  async function open(environment?: Headers, scrypt = false): Promise<void> {
    clinic = await OpenClinic.open(environment, (builder) => builder.overrideProvider(ClinicBackend).useValue(backend));
    const auth = clinic.app.get(AuthService);
    verify = jest.spyOn(auth, 'verify');
    if (!scrypt) {
      verify.mockImplementation(async (name: string, password: string) =>
        password === PASSWORD ? auth.find(name) : undefined,
      );
    }
  }

  function login(name: string, password: string, headers?: Headers): Promise<ClinicResponse> {
    if (!clinic) {
      throw new Error('Open a clinic first.');
    }
    return clinic.browser().send('POST', '/auth/login', { name, password }, headers);
  }

  it('locks a name after 5 failures, and then verifies no password, not even the right one', async () => {
    await open({}, true);
    expect(await statuses(BY_NAME, () => login('nora', 'wrong'))).toEqual(repeated(BY_NAME, 401));
    expect(verify).toHaveBeenCalledTimes(BY_NAME);

    const locked = await login('nora', PASSWORD);
    expect(locked.status).toBe(429);
    expect(locked.headers.getSetCookie()).toEqual([]);
    expect(Number(locked.headers.get('retry-after'))).toBeGreaterThan(WINDOW_SECONDS - 60);
    expect(Number(locked.headers.get('retry-after'))).toBeLessThanOrEqual(WINDOW_SECONDS);
    expect(verify).toHaveBeenCalledTimes(BY_NAME);
    expect((await login('hugo', PASSWORD)).status).toBe(200);
  });

  it('treats an unknown name like a known one', async () => {
    await open();
    for (const name of ['nora', 'nobody', '__proto__']) {
      verify.mockClear();
      const answers: ClinicResponse[] = [];
      for (let attempt = 0; attempt <= BY_NAME; attempt += 1) {
        answers.push(await login(name, 'wrong'));
      }
      expect(answers.map(({ status }) => status)).toEqual([...repeated(BY_NAME, 401), 429]);
      expect(answers.at(-1)?.body).toEqual({ statusCode: 429, message: expect.stringMatching(/^Too many/) as string });
      expect(verify).toHaveBeenCalledTimes(BY_NAME);
    }
  });

  it('lets nobody slip through with many attempts at the same time', async () => {
    await open();
    const answers = await Promise.all(Array.from({ length: 20 }, () => login('nora', 'wrong')));
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(BY_NAME);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(20 - BY_NAME);
  });

  it('opens the name again when the time is over', async () => {
    await open();
    await statuses(BY_NAME, () => login('nora', 'wrong'));
    const { headers } = await login('nora', PASSWORD);
    const later = Date.now() + Number(headers.get('retry-after')) * 1000;
    const now = jest.spyOn(Date, 'now').mockReturnValue(later);
    try {
      expect((await login('nora', PASSWORD)).status).toBe(200);
    } finally {
      now.mockRestore();
    }
  });

  it('forgets the failures of a name after a success, but not those of the address', async () => {
    await open();
    const failures = BY_NAME - 1;
    let left = BY_ADDRESS;
    while (left > 0) {
      const now = Math.min(left, failures);
      expect(await statuses(now, () => login('nora', 'wrong'))).toEqual(repeated(now, 401));
      left -= now;
      expect((await login('nora', PASSWORD)).status).toBe(left > 0 ? 200 : 429);
    }
    expect((await login('hugo', PASSWORD)).status).toBe(429);
  });

  it('does not count successes against the address that many users share', async () => {
    await open();
    expect(await statuses(BY_ADDRESS + 5, () => login('nora', PASSWORD))).toEqual(repeated(BY_ADDRESS + 5, 200));
  });

  it('locks an address that tries many names, whatever it claims to be', async () => {
    await open();
    const seen = await statuses(BY_ADDRESS, (index) => login(`name-${index}`, 'wrong', via(`203.0.113.${index}`)));
    expect(seen).toEqual(repeated(BY_ADDRESS, 401));
    const locked = await login('nora', PASSWORD, via('203.0.113.99'));
    expect(locked.status).toBe(429);
    expect(locked.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(verify).toHaveBeenCalledTimes(BY_ADDRESS);
  });

  it('counts the address that the proxy in front saw', async () => {
    await open(PRODUCTION);
    for (const [here, there] of [
      ['198.51.100.7', '198.51.100.8'],
      ['10.0.0.7', '10.0.0.8'],
      ['2001:db8:0:1::7', '2001:db8:0:2::7'],
    ] as const) {
      await statuses(BY_ADDRESS, (index) => login(`${here}-${index}`, 'wrong', via(here, `203.0.113.${index}`)));
      expect((await login('nora', PASSWORD, via(here, '203.0.113.99'))).status).toBe(429);
      expect((await login('nora', PASSWORD, via(there))).status).toBe(200);
    }
    // A home or a server gets 2^64 addresses of IPv6, so all of them count as one.
    expect((await login('nora', PASSWORD, via('2001:0db8:0000:0001:ffff::1'))).status).toBe(429);
  });

  it('counts a name across all addresses', async () => {
    await open(PRODUCTION);
    expect(await statuses(BY_NAME + 1, (index) => login('nora', 'wrong', via(`198.51.100.${index}`)))).toEqual([
      ...repeated(BY_NAME, 401),
      429,
    ]);
  });

  it('does not let a locked address lock further names', async () => {
    await open(PRODUCTION);
    await statuses(BY_ADDRESS, (index) => login(`name-${index}`, 'wrong', via('198.51.100.7')));
    await statuses(BY_NAME, () => login('nora', 'wrong', via('198.51.100.7')));
    expect((await login('nora', PASSWORD, via('198.51.100.8'))).status).toBe(200);
  });

  it('does not count requests that it refuses for another reason, so no other site can lock its visitors out', async () => {
    await open();
    const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    await statuses(BY_ADDRESS, () => login('nora', 'wrong', foreign));
    await statuses(BY_ADDRESS, () => login('nora', 'wrong', { 'content-type': 'text/plain' }));
    await statuses(BY_ADDRESS, () => login('nora', ''));
    expect(verify).not.toHaveBeenCalled();
    expect((await login('nora', PASSWORD)).status).toBe(200);
  });
});
