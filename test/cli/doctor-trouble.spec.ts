import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { environmentOf, runDoctor } from '../support/doctor';
import { selfSigned } from '../support/self-signed';
import { WireServer, type WireAnswer, type WireRequest } from '../support/wire-server';

const DAY = 86_400_000;
const CLIENT = { MEDPLUM_CLIENT_ID: 'client-1', MEDPLUM_CLIENT_SECRET: 'secret-of-client-1' };
const HEALTHY = { ok: true, version: '5.0.10-abc', postgres: true, redis: true };
const ME = {
  project: { resourceType: 'Project', id: 'p' },
  membership: { resourceType: 'ProjectMembership', id: 'm', admin: true },
  profile: { resourceType: 'ClientApplication', id: 'client-1', secret: CLIENT.MEDPLUM_CLIENT_SECRET },
};

/** A server that a proxy, an outage or another product stands for. */
describe('nestjs-medplum doctor at a server in trouble', () => {
  let server: WireServer;
  let folder: jest.SpyInstance;

  beforeAll(() => {
    folder = jest.spyOn(process, 'cwd').mockReturnValue(__dirname);
  });

  beforeEach(async () => {
    server = await WireServer.start();
  });

  afterEach(() => server?.close());

  afterAll(() => folder?.mockRestore());

  /** Answers by path; everything else is 404. */
  const serve = (answers: Readonly<Record<string, WireAnswer>>): void => {
    server.handler = ({ path }: WireRequest) => answers[path] ?? { status: 404, body: 'nothing here' };
  };

  const doctor = (args: readonly string[] = [], more: Readonly<Record<string, string>> = {}) =>
    runDoctor(['--json', '--timeout', '5000', ...args], { ...environmentOf(server.options()), ...CLIENT, ...more });

  it('reads the version behind a proxy that hides the health check, and without a quota', async () => {
    serve({
      '/fhir/R4/metadata': {
        body: { resourceType: 'CapabilityStatement', publisher: 'Medplum', version: '5.1.12-abc' },
      },
      '/auth/me': { body: ME },
      '/fhir/R4/ProjectMembership/m': { body: ME.membership },
    });
    const run = await doctor();
    expect(run.exitCode).toBe(0);
    expect(run.of('version')).toMatchObject([
      { level: 'ok', what: expect.stringContaining('Medplum 5.1.12. It behaves like 5.2') },
    ]);
    expect(run.of('quota')).toMatchObject([{ level: 'ok', what: expect.stringContaining('no RateLimit header') }]);
  });

  it.each([
    [{ ...HEALTHY, version: '4.3.0' }, 'warning', 'Medplum 4.3.0'],
    [{ ...HEALTHY, version: '6.0.0' }, 'warning', 'Medplum 6.0.0'],
    [{ ...HEALTHY, version: 'secret-of-client-1' }, 'warning', 'does not say its version'],
    [{ ...HEALTHY, redis: false }, 'error', 'not healthy'],
  ])('judges the health check %j', async (body, level, what) => {
    serve({ '/healthcheck': { body } });
    const findings = (await doctor()).of('version');
    expect(findings).toContainEqual(expect.objectContaining({ level, what: expect.stringContaining(what) }));
  });

  it('recognises another FHIR server, and a web page', async () => {
    serve({ '/fhir/R4/metadata': { body: { resourceType: 'CapabilityStatement', publisher: 'Somebody' } } });
    const other = await doctor();
    expect(other.of('base-url')).toMatchObject([
      { level: 'error', what: expect.stringContaining('responds with 404') },
    ]);
    expect(other.of('credentials')).toMatchObject([{ level: 'skipped' }]);
    server.handler = () => ({ body: '<!doctype html><title>Medplum</title>' });
    const page = await doctor();
    expect(page.of('base-url')).toMatchObject([{ level: 'error', what: expect.stringContaining('responds with 200') }]);
    expect(server.requests.some(({ headers }) => headers.authorization !== undefined)).toBe(false);
  });

  it.each([
    [0, 'ok', 'agree'],
    [-120_000, 'warning', 'seconds ahead of that of the server'],
    [120_000, 'warning', 'seconds behind that of the server'],
    [3_600_000, 'error', '3600 seconds behind'],
  ])('compares the clocks (%d ms)', async (skew, level, what) => {
    server.handler = () => ({ headers: { date: new Date(Date.now() + skew).toUTCString() }, body: HEALTHY });
    const [finding] = (await doctor()).of('clock');
    expect(finding?.level).toBe(level);
    expect(finding?.what.replace(/3(?:599|601)/, '3600')).toContain(what);
  });

  it.each([
    [{ status: 404, body: 'no such path' }, 'responds to auth/me with 404'],
    [{ status: 429, body: {} }, '429'],
    [{ destroy: true }, 'connection broke'],
    [{ body: { ...ME, profile: { resourceType: 'Practitioner' } } }, 'not with a ClientApplication'],
  ] as const)('does not take %j for accepted credentials', async (answer, what) => {
    serve({ '/healthcheck': { body: HEALTHY }, '/auth/me': answer });
    const run = await doctor();
    expect(run.of('credentials')).toMatchObject([{ level: 'error', what: expect.stringContaining(what) }]);
    expect(run.of('admin')).toMatchObject([{ level: 'skipped' }]);
  });

  it('recognises a secret that is being replaced, and an inactive client', async () => {
    serve({
      '/healthcheck': { body: HEALTHY },
      '/auth/me': { status: 401, body: {} },
      '/oauth2/token': { body: { access_token: 'token-of-the-server' } },
    });
    const retiring = await doctor();
    expect(retiring.of('credentials')).toMatchObject([
      { level: 'error', what: expect.stringContaining('being replaced') },
    ]);
    serve({
      '/healthcheck': { body: HEALTHY },
      '/auth/me': { body: { ...ME, membership: { ...ME.membership, active: false } } },
    });
    expect((await doctor()).of('credentials')).toMatchObject([{ level: 'ok' }, { level: 'warning' }]);
  });

  it.each([
    [200, 'warning', 'seems to be a super admin'],
    [403, 'error', 'is not a project admin'],
  ])('tries whether a client without admin may act as itself (%d)', async (status, level, what) => {
    const body = { ...ME, membership: { ...ME.membership, admin: undefined } };
    server.handler = ({ path, onBehalfOf }) =>
      path === '/healthcheck' ? { body: HEALTHY } : { status: onBehalfOf === undefined ? 200 : status, body };
    const run = await doctor();
    expect(run.of('admin')).toMatchObject([{ level, what: expect.stringContaining(what) }]);
    expect(server.identities).toContain('ProjectMembership/m');
  });

  it('says that nothing listens', async () => {
    const environment = { ...environmentOf(server.options()), ...CLIENT };
    await server.close();
    const run = await runDoctor(['--json'], environment);
    expect(run.of('base-url')).toMatchObject([
      {
        level: 'error',
        what: expect.stringContaining('ECONNREFUSED'),
        fix: expect.stringContaining('Nothing listens'),
      },
    ]);
    expect(run.exitCode).toBe(1);
  });

  it('looks a host up', async () => {
    const run = await doctor([], { MEDPLUM_BASE_URL: server.baseUrl.replace('127.0.0.1', 'localhost') });
    expect(run.of('dns')).toMatchObject([{ level: 'ok', what: expect.stringMatching(/^localhost has \d address/) }]);
  });

  it('says that a host has no address', async () => {
    const run = await doctor(['--base-url', 'https://medplum.invalid/']);
    expect(run.of('dns')).toMatchObject([{ level: 'error', what: 'medplum.invalid cannot be looked up (ENOTFOUND).' }]);
    for (const check of ['tls', 'base-url', 'credentials']) {
      expect(run.of(check)).toMatchObject([{ level: 'skipped', what: 'because the host has no address' }]);
    }
  });

  it('refuses plain http elsewhere, and sends no credentials there', async () => {
    const insecure = await doctor(['--base-url', 'http://medplum.invalid/']);
    expect(insecure.of('settings')).toMatchObject([{ level: 'error', what: expect.stringContaining('not loopback') }]);
    const allowed = await doctor(['--base-url', 'http://medplum.invalid/', '--allow-insecure-http']);
    expect(allowed.of('settings')).toMatchObject([{ level: 'ok' }]);
  });

  it.each([
    ['an expired certificate', -400 * DAY, -DAY, 'CERT_HAS_EXPIRED', 'Renew the certificate'],
    ['a certificate of an unknown CA', -DAY, 90 * DAY, 'DEPTH_ZERO_SELF_SIGNED_CERT', 'NODE_EXTRA_CA_CERTS'],
  ])('names %s, and connects no further', async (_name, from, to, code, fix) => {
    const dates = [new Date(Date.now() + from), new Date(Date.now() + to)] as const;
    const requests: unknown[] = [];
    const secure: Server = createServer(selfSigned(...dates), (request, response) => {
      requests.push(request.url);
      response.end(JSON.stringify(HEALTHY));
    });
    try {
      await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
      const { port } = secure.address() as AddressInfo;
      const run = await doctor(['--base-url', `https://127.0.0.1:${port}/`]);
      expect(run.of('tls')).toMatchObject([
        { level: 'error', what: expect.stringContaining(code), fix: expect.stringContaining(fix) },
      ]);
      expect(run.of('base-url')).toMatchObject([{ level: 'skipped' }]);
      expect(requests).toEqual([]);
    } finally {
      await new Promise((resolve) => secure.close(resolve));
    }
  });
});
