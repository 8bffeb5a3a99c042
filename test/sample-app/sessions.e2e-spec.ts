import { OpenClinic } from './support/open-clinic';

describe('logins and sessions of the clinic', () => {
  let clinic: OpenClinic;
  beforeAll(async () => {
    clinic = await OpenClinic.open();
  });
  afterAll(() => clinic?.close());

  it('keep out everybody without a login', async () => {
    for (const path of ['/patients', '/observations', '/status', '/undecorated', '/auth/me', '/patients/1']) {
      expect((await clinic.browser().get(path)).status).toBe(401);
    }
  });

  it('accept each demo login, and say who is logged in', async () => {
    for (const name of ['nora', 'hugo', 'paula']) {
      const browser = await clinic.visitor(name);
      expect((await browser.get('/auth/me')).body).toEqual({ name });
    }
  });

  it('refuse a wrong password and an unknown name with the same message', async () => {
    const wrong = await clinic.browser().login('nora', 'wrong');
    const unknown = await clinic.browser().login('nobody', 'wrong');
    const foreign = await clinic.browser().login('nora', clinic.demoLogin('hugo').password);
    expect([wrong.status, unknown.status, foreign.status]).toEqual([401, 401, 401]);
    expect(unknown.body).toEqual(wrong.body);
    expect(foreign.body).toEqual(wrong.body);
    expect(wrong.headers.getSetCookie()).toEqual([]);
  });

  it.each([
    undefined,
    [],
    'nora',
    { name: 'nora' },
    { name: 'nora', password: 1 },
    { name: { $ne: '' }, password: 'x' },
    { name: 'nora', password: 'x'.repeat(201) },
    { name: '__proto__', password: '' },
  ])('refuse the login %j with 400', async (body) => {
    expect((await clinic.browser().send('POST', '/auth/login', body)).status).toBe(400);
  });

  it('set a cookie that scripts cannot read and other sites cannot send', async () => {
    const { headers } = await clinic.browser().login('nora', clinic.demoLogin('nora').password);
    const cookies = headers.getSetCookie();
    expect(cookies.map((cookie) => cookie.split('=')[0])).toEqual(['clinic', 'clinic.sig']);
    for (const cookie of cookies) {
      expect(cookie).toMatch(/; httponly/i);
      expect(cookie).toMatch(/; samesite=strict/i);
      expect(cookie).not.toContain(clinic.demoLogin('nora').membership);
    }
  });

  it('refuse a changed cookie, and one whose signature is missing or belongs to another cookie', async () => {
    const browser = await clinic.visitor('nora');
    const cookie = browser.cookies.get('clinic') ?? '';
    const signature = browser.cookies.get('clinic.sig') ?? '';
    const session = JSON.parse(Buffer.from(cookie, 'base64').toString('utf8')) as Record<string, unknown>;
    expect(session).toMatchObject({ login: 'nora' });
    const forged = Buffer.from(JSON.stringify({ ...session, login: 'hugo' })).toString('base64');

    const statusWith = async (cookies: Readonly<Record<string, string>>): Promise<number> => {
      const other = clinic.browser();
      for (const [name, value] of Object.entries(cookies)) {
        other.cookies.set(name, value);
      }
      return (await other.get('/patients')).status;
    };
    expect(await statusWith({ clinic: cookie, 'clinic.sig': signature })).toBe(200);
    expect(await statusWith({ clinic: forged, 'clinic.sig': signature })).toBe(401);
    expect(await statusWith({ clinic: forged })).toBe(401);
    expect(await statusWith({ clinic: cookie })).toBe(401);
    expect(await statusWith({ clinic: 'garbage', 'clinic.sig': signature })).toBe(401);
  });

  it('end in the browser with a logout', async () => {
    const browser = await clinic.visitor('nora');
    expect((await browser.send('POST', '/auth/logout')).status).toBe(204);
    expect(browser.cookies.get('clinic')).toBeUndefined();
    expect((await browser.get('/patients')).status).toBe(401);
  });

  it('end on the server when they expire', async () => {
    const browser = await clinic.visitor('nora');
    const now = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 8 * 60 * 60 * 1000 + 1);
    try {
      expect((await browser.get('/auth/me')).status).toBe(401);
    } finally {
      now.mockRestore();
    }
  });

  it('do not survive a restart', async () => {
    const browser = await clinic.visitor('nora');
    const next = await OpenClinic.open();
    try {
      const there = next.browser();
      browser.cookies.forEach((value, name) => there.cookies.set(name, value));
      expect((await there.get('/auth/me')).status).toBe(401);
      expect(next.demoLogin('nora').password).not.toBe(clinic.demoLogin('nora').password);
      expect((await next.browser().login('nora', clinic.demoLogin('nora').password)).status).toBe(401);
    } finally {
      await next.close();
    }
  });
});
