import { randomUUID } from 'node:crypto';
import {
  accessEntry,
  MedplumAbortError,
  type MedplumAccessOptions,
  MedplumBadRequestError,
  MedplumConflictError,
  MedplumConnectionError,
  type MedplumError,
  MedplumPreconditionFailedError,
  MedplumProtocolError,
  type MedplumService,
  MedplumTimeoutError,
  type MembershipQuery,
} from 'nestjs-medplum';
import { failureOf } from '../support/failure-of';
import { type MedplumApp, startMedplumApp } from '../support/medplum-app';
import { type MedplumServer, startMedplumServer } from '../support/medplum-server';
import { until } from '../support/until';
import { outcome } from '../support/wire-server';

describe('On a Medplum server', () => {
  let server: MedplumServer;
  let medplum: MedplumService;
  let policies: string[];

  beforeAll(async () => {
    server = await startMedplumServer();
    ({ medplum } = server);
    policies = [];
    for (let i = 0; i < 3; i++) {
      const policy = await medplum.createResource(
        { resourceType: 'AccessPolicy', name: `Test ${i}` },
        { onBehalfOf: '' },
      );
      policies.push(policy.id);
    }
  });
  afterAll(() => server?.close());

  const invite = (more: object = {}) =>
    medplum.memberships.invite(server.projectId, {
      resourceType: 'Practitioner',
      firstName: 'Ann',
      lastName: 'Test',
      externalId: randomUUID(),
      sendEmail: false,
      ...more,
    });

  const by = async (query: object) => (await medplum.memberships.find(query)).map(({ id }) => id);

  it('an invited person is found by profile, external id and e-mail address, and calls can be made for them', async () => {
    const externalId = randomUUID();
    const email = `${externalId}@example.com`;
    const { id, profile } = await invite({ externalId, email });
    expect(await by({ profile: profile?.reference })).toEqual([id]);
    expect(await by({ externalId })).toEqual([id]);
    expect(await by({ email })).toEqual([id]);
    expect(await by({ externalId: randomUUID() })).toEqual([]);
    const patient = await medplum.createResource(
      { resourceType: 'Patient' },
      { onBehalfOf: `ProjectMembership/${id}` },
    );
    expect(patient.meta?.onBehalfOf?.reference).toBe(profile?.reference);
    await expect(invite({ externalId, email })).rejects.toThrow(MedplumConflictError);
  });

  it('nobody else is found whose external id or e-mail address begins in the same way', async () => {
    const externalId = `auth0|Sub-${randomUUID()}-1`;
    const email = `ann.${randomUUID()}@example.com`;
    // The longer ones come first, so that a search by the beginning would return them first.
    const other = await invite({ externalId: `${externalId}0` });
    const otherMail = await invite({ email: `${email}.au` });
    const own = await invite({ externalId });
    const ownMail = await invite({ email });
    expect(await by({ externalId })).toEqual([own.id]);
    expect(await by({ externalId: `${externalId}0` })).toEqual([other.id]);
    expect(await by({ externalId: externalId.toLowerCase() })).toEqual([]);
    expect(await by({ email: email.toUpperCase() })).toEqual([ownMail.id]);
    expect(await by({ email: `${email}.au` })).toEqual([otherMail.id]);
    expect(await by({ email: email.slice(0, -1) })).toEqual([]);
  });

  it('entries of the managed policies are merged, added and removed', async () => {
    const [managed = '', other = '', base = ''] = policies;
    const foreign = accessEntry(other, { patient: 'Patient/1' });
    const membership = { accessPolicy: { reference: `AccessPolicy/${base}` }, access: [foreign] };
    const { id } = await invite({ membership });
    const a = accessEntry(managed, { patient: 'Patient/1' });
    const b = accessEntry(`AccessPolicy/${managed}`, { patient: 'Patient/2', note: 'text' });
    const access = async () =>
      (await medplum.readResource('ProjectMembership', id, { onBehalfOf: '' })).access?.map(({ policy, parameter }) => [
        policy?.reference,
        parameter?.[0]?.valueReference?.reference,
      ]);
    const [keptEntry, aEntry, bEntry] = [
      [`AccessPolicy/${other}`, 'Patient/1'],
      [`AccessPolicy/${managed}`, 'Patient/1'],
      [`AccessPolicy/${managed}`, 'Patient/2'],
    ];
    const merged = await medplum.memberships.mergeAccess(id, [a, b, a], [`AccessPolicy/${managed}`]);
    expect(merged).toMatchObject({ updated: true, managed: 2, untouched: 1 });
    expect(await access()).toEqual([keptEntry, aEntry, bEntry]);
    expect(await medplum.memberships.mergeAccess(id, [b, a], [managed])).toMatchObject({
      updated: false,
      versionId: merged.versionId,
    });
    expect(await medplum.memberships.addAccess(id, a, [managed])).toMatchObject({ updated: false });
    const withDisplay = { ...a, policy: { ...a.policy, display: 'A policy' } };
    expect(await medplum.memberships.removeAccess(id, withDisplay, [managed])).toMatchObject({
      updated: true,
      managed: 1,
    });
    expect(await access()).toEqual([keptEntry, bEntry]);
    await medplum.memberships.mergeAccess(`ProjectMembership/${id}`, [], [managed]);
    expect(await access()).toEqual([keptEntry]);
  });

  it('concurrent changes all survive', async () => {
    const [managed = '', other = '', base = ''] = policies;
    const { id } = await invite({ membership: { accessPolicy: { reference: `AccessPolicy/${base}` } } });
    const entries = Array.from({ length: 20 }, (_, i) =>
      accessEntry(i % 2 ? managed : other, { patient: `Patient/${i}` }),
    );
    await Promise.all(entries.map((entry, i) => medplum.memberships.addAccess(id, entry, [i % 2 ? managed : other])));
    const { access } = await medplum.readResource('ProjectMembership', id, { onBehalfOf: '' });
    const patients = access?.map(({ parameter }) => parameter?.[0]?.valueReference?.reference) ?? [];
    expect(new Set(patients)).toEqual(new Set(Array.from({ length: 20 }, (_, i) => `Patient/${i}`)));
  });
});

const stored = (more: object) => ({
  body: { resourceType: 'ProjectMembership', id: 'm1', meta: { versionId: 'v1' }, ...more },
});

describe('A change of access', () => {
  let app: MedplumApp;
  let medplum: MedplumService;
  const entry = accessEntry('a1', { x: 'y' });

  beforeEach(async () => {
    app = await startMedplumApp();
    ({ medplum } = app);
  });
  afterEach(() => app.close());

  const puts = () => app.wire.requests.filter(({ method }) => method === 'PUT');

  it('replaces only the version that was read, and fails if others keep changing it', async () => {
    app.wire.handler = ({ method }) =>
      method === 'PUT' ? { status: 412, body: outcome('precondition-failed', 'processing', 'x') } : stored({});
    await expect(medplum.memberships.addAccess('m1', entry, ['a1'], { maxRetries: 2 })).rejects.toThrow(
      MedplumPreconditionFailedError,
    );
    expect(puts().map(({ headers }) => headers['if-match'])).toEqual(['W/"v1"', 'W/"v1"', 'W/"v1"']);
  });

  it('is applied again until it is through, after changed versions and collisions', async () => {
    jest.spyOn(Math, 'random').mockReturnValue(0);
    const busy = [
      { status: 412, body: outcome('precondition-failed', 'processing', 'x') },
      {
        status: 409,
        body: {
          ...outcome('conflict', 'conflict', 'x'),
          issue: [{ severity: 'error', code: 'conflict', details: { coding: [{ code: '40001' }] } }],
        },
      },
    ];
    app.wire.handler = ({ method }) => (method === 'PUT' && puts().length <= 40 ? busy[puts().length % 2] : stored({}));
    await expect(medplum.memberships.addAccess('m1', entry, ['a1'])).resolves.toMatchObject({ updated: true });
    jest.restoreAllMocks();
    expect(puts()).toHaveLength(41);
  });

  /** The error of the change, which `stop` ends long before the wait is over. */
  async function stopped(stop: () => unknown, options: MedplumAccessOptions = {}): Promise<MedplumError> {
    const start = performance.now();
    const failed = failureOf(medplum.memberships.addAccess('m1', entry, ['a1'], options));
    // The membership was read, and the first attempt to write it was refused.
    await until(() => app.events.length === 2);
    await stop();
    const error = await failed;
    expect(performance.now() - start).toBeLessThan(8_000);
    expect(puts()).toHaveLength(1);
    return error;
  }

  describe('that waits before it is applied again', () => {
    beforeEach(() => {
      // The wait is random; this makes it 10 s.
      jest.spyOn(Math, 'random').mockReturnValue(200);
      app.wire.handler = ({ method }) =>
        method === 'PUT' ? { status: 412, body: outcome('precondition-failed', 'processing', 'x') } : stored({});
    });
    afterEach(() => jest.restoreAllMocks());

    it('ends with its signal', async () => {
      const controller = new AbortController();
      const error = await stopped(() => controller.abort(), { signal: controller.signal });
      expect(error).toBeInstanceOf(MedplumAbortError);
    });

    it('ends with its timeout, which limits the waits and all requests together', async () => {
      const error = await stopped(() => undefined, { timeout: 500 });
      expect(error).toBeInstanceOf(MedplumTimeoutError);
      expect(error.message).toBe('Retrying the change of access did not end within the timeout of 500 ms.');
    });

    it('ends when the app shuts down', async () => {
      const error = await stopped(() => app.module.close());
      expect(error).toBeInstanceOf(MedplumConnectionError);
      expect(error).toMatchObject({ cause: { code: 'SHUTDOWN' } });
    });
  });

  it('is refused if the server sends no version', async () => {
    app.wire.handler = () => stored({ meta: {} });
    await expect(medplum.memberships.addAccess('m1', entry, ['a1'])).rejects.toThrow(MedplumProtocolError);
    expect(puts()).toEqual([]);
  });

  it('keeps entries that it does not understand, and is written even without a difference if force is set', async () => {
    const odd = [{ policy: { reference: 'a1' } }, {}, { policy: { reference: 'https://x/AccessPolicy/a1' } }];
    app.wire.handler = () => stored({ access: [...odd, entry] });
    expect(await medplum.memberships.mergeAccess('m1', [entry], ['a1'])).toMatchObject({
      updated: false,
      untouched: 3,
    });
    await medplum.memberships.mergeAccess('m1', [entry], ['a1'], { force: true });
    expect(JSON.parse(puts()[0]?.body ?? '')).toMatchObject({ access: [...odd, entry] });
  });

  it('does not leave a membership without any policy by accident, because it could do everything', async () => {
    app.wire.handler = () => stored({ access: [entry] });
    await expect(medplum.memberships.removeAccess('m1', entry, ['a1'])).rejects.toThrow(/access to the whole project/);
    expect(puts()).toEqual([]);
    await medplum.memberships.mergeAccess('m1', [], ['a1'], { allowUnrestricted: true });
    expect(puts()).toHaveLength(1);
  });

  it.each<readonly [string, string, unknown, unknown]>([
    ['no policies', 'm1', [entry], []],
    ['a policy of another type', 'm1', [], ['Patient/a1']],
    ['a policy with more segments', 'm1', [], ['AccessPolicy/a1/_history/1']],
    ['a policy that is an address', 'm1', [], ['https://x/AccessPolicy/a1']],
    ['an entry of another policy', 'm1', [accessEntry('a2')], ['a1']],
    ['a malformed entry', 'm1', [{}], ['a1']],
    ['entries that are not a list', 'm1', 'a1', ['a1']],
    ['a membership with a path', '../x', [entry], ['a1']],
    ['a membership of another type', 'Patient/1', [entry], ['a1']],
  ])('is refused for %s, and nothing is sent', async (_what, membership, entries, policies) => {
    await expect(medplum.memberships.mergeAccess(membership, entries as [], policies as [])).rejects.toThrow(
      MedplumBadRequestError,
    );
    expect(app.wire.requests).toEqual([]);
  });

  it.each<readonly [string, MembershipQuery, string, object]>([
    ['an external id', { externalId: 'a|1' }, 'external-id:exact=a\\|1', { externalId: 'a|1' }],
    ['an address', { email: 'Ann@x.org' }, 'user:User.email:exact=ann@x.org', { user: { display: 'ann@x.org' } }],
    ['a profile', { profile: 'Patient/1' }, 'profile=Patient/1', { profile: { reference: 'Patient/1' } }],
    [
      'an identifier',
      { identifier: { system: 's', value: '1' } },
      'identifier=s|1',
      {
        identifier: [
          { system: 't', value: '1' },
          { system: 's', value: '1' },
        ],
      },
    ],
  ])('find() by %s asks for the whole value, and leaves out whatever else a server returns', async (...args) => {
    const [, query, search, match] = args;
    const others = [
      { externalId: 'a|10', user: { display: 'ann@x.org.au' }, profile: { reference: 'Patient/10' } },
      { externalId: 'A|1', user: { display: 'joann@x.org' }, identifier: [{ system: 's', value: '10' }] },
      { user: { display: 'an@x.org' }, identifier: [{ system: 't', value: '1' }] },
    ];
    const resources = [...others, match].map((more, i) => ({
      resourceType: 'ProjectMembership',
      id: `m${i}`,
      ...more,
    }));
    app.wire.handler = () => ({
      body: { resourceType: 'Bundle', type: 'searchset', entry: resources.map((resource) => ({ resource })) },
    });
    expect((await medplum.memberships.find(query)).map(({ id }) => id)).toEqual(['m3']);
    const sent = new URL(app.wire.requests[0]?.path ?? '', app.wire.baseUrl).searchParams;
    expect(`${[...sent][0]?.join('=')}`).toBe(search);
    expect(sent.get('_count')).toBe('1000');
  });

  it.each<object>([{}, { profile: 'a', email: 'b' }, { profile: 'p1' }, { email: '' }, { identifier: {} }])(
    'find() refuses the query %j, and sends nothing',
    async (query) => {
      await expect(medplum.memberships.find(query)).rejects.toThrow(MedplumBadRequestError);
      expect(app.wire.requests).toEqual([]);
    },
  );
});

describe('accessEntry()', () => {
  it('distinguishes references from text', () => {
    expect(
      accessEntry({ reference: 'AccessPolicy/a1' }, { a: 'x', b: 'https://x/y', c: { reference: 'Patient/1' } }),
    ).toEqual({
      policy: { reference: 'AccessPolicy/a1' },
      parameter: [
        { name: 'a', valueString: 'x' },
        { name: 'b', valueString: 'https://x/y' },
        { name: 'c', valueReference: { reference: 'Patient/1' } },
      ],
    });
    expect(accessEntry('a1')).toEqual({ policy: { reference: 'AccessPolicy/a1' } });
  });

  it.each([
    () => accessEntry(''),
    () => accessEntry('Patient/1'),
    () => accessEntry({ reference: 'a1' }),
    () => accessEntry('a1', { '': 'x' }),
    () => accessEntry('a1', { x: '' }),
    () => accessEntry('a1', { x: 5 as unknown as string }),
    () => accessEntry('a1', { x: {} }),
  ])('refuses %s', (make) => {
    expect(make).toThrow(MedplumBadRequestError);
  });
});
